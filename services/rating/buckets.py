"""What rating stores of allowances: `buckets`, one document per owner, allowance and period, granted by its first usage.

A batch reads buckets, draws from them in memory and writes them in its transaction. Of two that drew from the same version
of a bucket the second is refused as a whole: nothing is overspent, and nothing is lost.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.pricing.allowance import Bucket
from libs.pricing.allowance_period import ALWAYS, EVER
from libs.runtime import Index
from services.rating.collisions import Collision
from services.rating.commands import write_all
from services.rating.domain.drawing import BucketChange, StoredBucket

INT64_MAX = 2**63 - 1
# A message to MongoDB has 48 MB; a bucket 2 KB at most, an update of one half of it.
WRITTEN_AT_A_TIME = 10_000
# Rating asks for buckets by id and nothing else, and nobody else asks for them yet.
INDEXES: tuple[Index, ...] = ()


class BucketStore:
    """The collection `buckets`."""

    def __init__(self, store: AsyncDatabase) -> None:
        self._store = store
        self._buckets = store["buckets"]

    async def find(self, bucket_ids: Collection[str], session: AsyncClientSession | None = None) -> dict[str, StoredBucket]:
        """Those that are there, by id."""
        if not bucket_ids:
            return {}
        found = await self._buckets.find({"_id": {"$in": list(bucket_ids)}}, session=session).to_list()
        return {document["_id"]: _stored(document) for document in found}

    async def write(self, changes: Sequence[BucketChange], at: datetime, session: AsyncClientSession) -> None:
        """Store buckets as a batch left them, in the batch's transaction.

        Raises Collision, or BulkWriteError for a bucket that somebody else granted, when one of them is not what was drawn from.
        """
        opened = [_opened(change, at) for change in changes if change.version is None]
        drawn = [change for change in changes if change.version is not None]
        for start in range(0, len(opened), WRITTEN_AT_A_TIME):
            insert = {"insert": "buckets", "documents": opened[start : start + WRITTEN_AT_A_TIME], "ordered": False}
            await write_all(self._store, insert, session)
        if not drawn:
            return
        await self._refuse_others(drawn, session)
        for start in range(0, len(drawn), WRITTEN_AT_A_TIME):
            # By id alone, MongoDB's fast path: what was read in this transaction stands until its end. To ask for the version in
            # each update would take twice as long as to read all versions first.
            updates = [{"q": {"_id": change.bucket.id}, "u": _update(change, at)} for change in drawn[start : start + WRITTEN_AT_A_TIME]]
            await write_all(self._store, {"update": "buckets", "updates": updates, "ordered": False}, session)

    async def _refuse_others(self, drawn: Sequence[BucketChange], session: AsyncClientSession) -> None:
        versions = {change.bucket.id: change.version for change in drawn}
        found = self._buckets.find({"_id": {"$in": list(versions)}}, {"version": 1}, session=session)
        if {document["_id"]: document["version"] async for document in found} != versions:
            raise Collision


def _stored(document: dict[str, Any]) -> StoredBucket:
    bucket = Bucket(
        document["_id"], int(document["granted"]), int(document["denominator"]), int(document["used"]), int(document["used_later"])
    )
    return StoredBucket(bucket, document["version"])


def _counts(bucket: Bucket) -> dict[str, int | str]:
    # All four in the same fractions of the unit. What is too large for MongoDB's integers is text.
    counts = {"granted": bucket.granted, "denominator": bucket.denominator, "used": bucket.used, "used_later": bucket.used_later}
    return {name: count if count <= INT64_MAX else str(count) for name, count in counts.items()}


def _update(change: BucketChange, at: datetime) -> dict[str, Any]:
    assert change.version is not None, "a bucket that was not there is inserted"
    return {"$set": {**_counts(change.bucket), "version": change.version + 1, "updated_at": at}}


def _opened(change: BucketChange, at: datetime) -> dict[str, Any]:
    source, period = change.source, change.source.period
    return {
        "_id": change.bucket.id,
        "shared": change.owner.shared.value,
        "owner_id": change.owner.id,
        "account_id": change.owner.account_id,
        "allowance_id": source.allowance.id,
        "description": source.allowance.description,
        "unit": source.allowance.unit,
        # What is granted once has no start, or no end.
        "period": {
            "start": None if period.start == ALWAYS else period.start,
            "end": None if period.end == EVER else period.end,
        },
        **_counts(change.bucket),
        "version": 0,
        "opened_at": at,
        "updated_at": at,
    }
