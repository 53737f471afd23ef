"""Received usage in MongoDB: `usage` has one document per usage id, `suspense` the usage that waits for an operative.

The indexes of all of rating's collections but its copies of accounts and products are here.
"""

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import UsageReceived, UsageRejected
from libs.pricing.intake import NumberReader
from libs.runtime import Index, Malformed, in_transaction
from services.rating.buckets import BucketStore
from services.rating.charges import ChargeStore
from services.rating.collisions import collisions
from services.rating.commands import write_all
from services.rating.documents import earlier_answer, rated_document, rejected_document, suspense_document
from services.rating.domain.accumulation import accumulate
from services.rating.domain.deciding import Decisions, Earlier
from services.rating.domain.drawing import BucketChange

# A message to MongoDB has 48 MB. Where every text is as long as it may be, four bytes to a character, a rated usage has 10 KB,
# and 132 KB more with all the characteristics there may be.
INSERTED_AT_A_TIME = 4_000
INSERTED_WITH_CHARACTERISTICS_AT_A_TIME = 300
NEWEST_FIRST = (("opened_at", -1), ("_id", -1))
INDEXES = (
    Index("charges", NEWEST_FIRST, "TMF678 appliedCustomerBillingRate: list, newest first"),
    Index("charges", (("account_id", 1), *NEWEST_FIRST), "TMF678 rates of a billing account; at its cut: open charges, fees to correct"),
    Index("charges", (("bill_id", 1), *NEWEST_FIRST), "TMF678 rates of a bill"),
    Index("charges", (("state", 1), *NEWEST_FIRST), "TMF678 rates by isBilled"),
    Index("charges", (("product_id", 1), *NEWEST_FIRST), "TMF678 rates of a product"),
    Index("suspense", (("state", 1), ("reason", 1), ("_id", 1)), "tarifa suspense list, and retry by reason in order of id"),
    Index("suspense", (("waits_for", 1), ("_id", 1)), "what waits for something that arrived, retried in order of id"),
    Index("suspense", (("usage.identifier", 1), ("suspended_at", -1)), "TMF635: what waits of a customer, newest first"),
    Index("suspense", (("number", 1), ("suspended_at", -1)), "TMF635: what waits under a number that was received in another form"),
    Index("suspense", (("retry_id", 1), ("_id", 1)), "a retry that comes again: what it rated the first time"),
)


class UsageStore:
    """The collections `usage` and, for what is new in it, `suspense`."""

    def __init__(
        self, client: AsyncMongoClient, store: AsyncDatabase, charges: ChargeStore, buckets: BucketStore, numbers: NumberReader
    ) -> None:
        self._client = client
        self._store = store
        self._usage = store["usage"]
        self._suspense = store["suspense"]
        self._charges = charges
        self._buckets = buckets
        self._numbers = numbers

    async def find_earlier(self, usages: Iterable[UsageReceived]) -> dict[str, Earlier]:
        """Return the earlier decisions by usage id."""
        found = self._usage.find({"_id": {"$in": [usage.id for usage in usages]}})
        return {document["_id"]: earlier_answer(document) async for document in found}

    async def add(
        self, decisions: Decisions, draws: Sequence[BucketChange], malformed: Sequence[tuple[Malformed, UsageRejected]], at: datetime
    ) -> None:
        """Store what is new, with what was drawn for it, in one transaction. Raises Collision when nothing of it was stored."""
        usages = [rated_document(rated) for rated in decisions.rated]
        usages += [rejected_document(rejected) for rejected in decisions.rejected]
        suspended = [suspense_document(rejected, at, self._numbers) for rejected in (*decisions.rejected, *decisions.conflicting)]
        suspended += [
            suspense_document(rejected, at, self._numbers, base64.b64encode(bad.record.value or b"").decode())
            for bad, rejected in malformed
        ]
        increments = accumulate(decisions.rated)
        if not usages and not suspended:
            return

        at_a_time = INSERTED_WITH_CHARACTERISTICS_AT_A_TIME if any("characteristics" in usage for usage in usages) else INSERTED_AT_A_TIME

        async def write(session: AsyncClientSession) -> None:
            # First, for here others come first most often, where an account shares a bucket: then nothing else was written in vain.
            await self._buckets.write(draws, at, session)
            for start in range(0, len(usages), at_a_time):
                insert = {"insert": "usage", "documents": usages[start : start + at_a_time], "ordered": False}
                await write_all(self._store, insert, session)
            await self._charges.add(increments, at, session)
            if suspended:
                once = [UpdateOne({"_id": entry["_id"]}, {"$setOnInsert": entry}, upsert=True) for entry in suspended]
                await self._suspense.bulk_write(once, ordered=False, session=session)

        with collisions(), self._charges.known_after(increments):
            await in_transaction(self._client, write)
