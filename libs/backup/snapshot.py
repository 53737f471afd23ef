"""Reading all databases as they were at one cluster time, while services go on writing.

MongoDB keeps the past of documents for `minSnapshotHistoryWindowInSeconds`. The window is widened for the time of the backup
and set back afterwards.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import OperationFailure

from libs.backup.errors import BackupError
from libs.runtime.mongo import database
from libs.runtime.settings import RuntimeSettings

WINDOW_PARAMETER = "minSnapshotHistoryWindowInSeconds"
READ_BATCH = 5_000
_SNAPSHOT_TOO_OLD = 239
_SNAPSHOT_UNAVAILABLE = 246

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Collection:
    """A collection of a service."""

    service: str
    name: str
    estimated_count: int


@asynccontextmanager
async def history_window(client: AsyncMongoClient, window_s: int) -> AsyncIterator[None]:
    """Keep at least `window_s` seconds of history until the end. Without the right to set it the server's own window holds."""
    before = (await client.admin.command({"getParameter": 1, WINDOW_PARAMETER: 1}))[WINDOW_PARAMETER]
    widened = before < window_s and await _set_window(client, window_s)
    try:
        yield
    finally:
        if widened:
            await _set_window(client, before)


@asynccontextmanager
async def snapshot(client: AsyncMongoClient) -> AsyncIterator[AsyncClientSession]:
    """A session whose reads all see one instant, which is now."""
    async with client.start_session(snapshot=True) as session:
        # The first read sets the instant.
        await client["admin"]["system.version"].find_one({}, session=session)
        yield session


async def collections_of(client: AsyncMongoClient, settings: RuntimeSettings, services: tuple[str, ...]) -> list[Collection]:
    """All collections of these services, in order."""
    found = []
    for service in services:
        store = database(client, settings, service)
        for name in sorted(await store.list_collection_names()):
            if not name.startswith("system."):
                found.append(Collection(service, name, await store[name].estimated_document_count()))
    return found


async def raw_batches(
    client: AsyncMongoClient, settings: RuntimeSettings, collection: Collection, session: AsyncClientSession
) -> AsyncIterator[bytes]:
    """Yield the documents of a collection as BSON. Raises BackupError when MongoDB no longer has that instant."""
    store = client[settings.database(collection.service)][collection.name]
    try:
        async for batch in store.find_raw_batches({}, batch_size=READ_BATCH, session=session):
            yield batch
    except OperationFailure as error:
        if error.code not in (_SNAPSHOT_TOO_OLD, _SNAPSHOT_UNAVAILABLE):
            raise
        raise BackupError(
            f"MongoDB no longer has the instant of the backup (at {collection.service}.{collection.name}): {error.details}",
            "give it a longer --window-s, and MongoDB the space for it",
        ) from None


async def _set_window(client: AsyncMongoClient, window_s: int) -> bool:
    try:
        await client.admin.command({"setParameter": 1, WINDOW_PARAMETER: window_s})
    except OperationFailure as error:
        logger.warning("the history window of MongoDB cannot be set", parameter=WINDOW_PARAMETER, reason=str(error))
        return False
    return True
