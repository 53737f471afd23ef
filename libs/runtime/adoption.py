"""Adoption: a service whose database was restored takes over what it had published since the backup, before its first message.

`tarifa restore` leaves a document in the collection `restores` of each service. Ids are derived, so a fact that is there
already is left as it is, and adopting twice is adopting once. Then the service reads its input again from the offsets of the
backup: what it adopted it finds decided, and answers the same.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import structlog
from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from libs.runtime.mongo_errors import DUPLICATE_KEY, error_codes
from libs.runtime.published import Deleted, PublishedReader
from libs.runtime.settings import RuntimeSettings

RESTORES = "restores"
# A report of more is not read; the count is of all.
LOSSES_KEPT_MAX = 1_000

logger = structlog.get_logger(__name__)


class RestoreState(StrEnum):
    """How far the restore of one database has come."""

    RESTORING = "restoring"
    RESTORED = "restored"
    ADOPTED = "adopted"


class RestoreUnfinished(Exception):
    """A restore was broken off: the database is not whole and no service may use it."""


@dataclass
class Adopted:
    """What a service adopted, by kind, and what it could not bring back, in words."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)


Adopt = Callable[[PublishedReader, Adopted], Awaitable[None]]


async def adopt_restored(settings: RuntimeSettings, store: AsyncDatabase, steps: Sequence[Adopt]) -> None:
    """Adopt what was published since the backup, when the database was restored and that was not done. Raises RestoreUnfinished."""
    restore = await store[RESTORES].find_one({"state": {"$ne": RestoreState.ADOPTED}})
    if restore is None:
        return
    if restore["state"] == RestoreState.RESTORING:
        raise RestoreUnfinished(f"the restore of database {store.name} was not finished: run `tarifa restore --overwrite` again")
    published = PublishedReader(settings, {(at["topic"], at["partition"]): at["offset"] for at in restore["ends"]})
    adopted = Adopted()
    for step in steps:
        await step(published, adopted)
    adopted.lost += [_deleted(deleted) for deleted in dict.fromkeys(published.deleted)]
    report = {"counts": dict(adopted.counts), "lost": adopted.lost[:LOSSES_KEPT_MAX], "lost_count": len(adopted.lost)}
    done = {"state": RestoreState.ADOPTED, "adopted_at": datetime.now(UTC), **report}
    await store[RESTORES].update_one({"_id": restore["_id"]}, {"$set": done})
    logger.info("adopted what was published since the backup", database=store.name, lost_count=len(adopted.lost), **adopted.counts)


async def insert_missing(collection: AsyncCollection, documents: Sequence[Mapping[str, Any]], adopted: Adopted, kind: str) -> None:
    """Insert the documents whose id is not there yet and count them as `kind`; a unique index that refuses one is told as a loss."""
    bodies = [{name: value for name, value in document.items() if name != "_id"} for document in documents]
    missing = [
        UpdateOne({"_id": document["_id"]}, {"$setOnInsert": body}, upsert=True) for document, body in zip(documents, bodies, strict=True)
    ]
    if not missing:
        return
    try:
        adopted.counts[kind] += (await collection.bulk_write(missing, ordered=False)).upserted_count
    except BulkWriteError as error:
        if error_codes(error) != {DUPLICATE_KEY}:
            raise
        adopted.counts[kind] += error.details["nUpserted"]
        for fault in error.details["writeErrors"]:
            adopted.lost.append(f"{kind}: {documents[fault['index']]['_id']} does not fit what was restored: {fault['errmsg']}")


def _deleted(deleted: Deleted) -> str:
    return (
        f"{deleted.count} messages of {deleted.topic}, partition {deleted.partition}, were deleted by Kafka since the backup: "
        "what they told is not brought back"
    )
