"""Adopting re-ratings: each is stored with what it posted, and its postings move the charges that are there."""

from collections.abc import Sequence
from decimal import Decimal

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import ChargePosting, UsageRerated
from libs.runtime import in_transaction
from libs.runtime.adoption import Adopted
from libs.runtime.exact_numbers import decimal128
from services.rating.rerated_documents import rerated_document


class ReratingAdoption:
    """Writes `reratings` and what they posted to `charges`."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase) -> None:
        self._client = client
        self._reratings = store["reratings"]
        self._charges = store["charges"]

    async def adopt(self, facts: Sequence[UsageRerated], adopted: Adopted) -> None:
        """Store re-ratings that are not there; one that posted to a correction which is not there is told as lost."""
        newest = {fact.id: fact for fact in facts}
        stored = {document["_id"] async for document in self._reratings.find({"_id": {"$in": list(newest)}}, {"_id": 1})}
        fresh = [fact for id, fact in newest.items() if id not in stored]
        wanted = list({posting.charge_id for fact in fresh for posting in fact.postings})
        there = {document["_id"] async for document in self._charges.find({"_id": {"$in": wanted}}, {"_id": 1})}
        for fact in fresh:
            missing = [posting.charge_id for posting in fact.postings if posting.charge_id not in there]
            if missing:
                adopted.lost.append(
                    f"re-rating {fact.id} of usage {fact.usage_id} posted to {missing[0]}, which cannot be opened again: ask for it again"
                )
                continue
            await self._store(fact)
            adopted.counts["re-ratings"] += 1

    async def _store(self, fact: UsageRerated) -> None:
        updates = [UpdateOne({"_id": posting.charge_id}, _moved(posting)) for posting in fact.postings]

        async def write(session: AsyncClientSession) -> None:
            await self._reratings.insert_one(rerated_document(fact), session=session)
            if updates:
                await self._charges.bulk_write(updates, session=session)

        await in_transaction(self._client, write)


def _moved(posting: ChargePosting) -> dict[str, dict[str, object]]:
    sums = {f"sums.{posting.denominator}": decimal128(Decimal(posting.numerator))}
    return {"$inc": {**sums, "usage_count": posting.usage_count, "quantity": decimal128(posting.quantity), "seal": 0}}
