"""Write commands of the hot path, sent as they are: the driver's bulk writes cost as much as MongoDB's work does."""

from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError


async def write_all(store: AsyncDatabase, command: dict[str, Any], session: AsyncClientSession) -> int:
    """Run an insert or update within the session's transaction; how many it wrote or found. Raises BulkWriteError."""
    result = await store.command(command, codec_options=store.codec_options, session=session)
    if result.get("writeErrors"):
        raise BulkWriteError(result)
    return result["n"]
