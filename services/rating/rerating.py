"""What re-rating stores: `reratings`, one document for each usage that a request gave another price, never changed; the charges
that it posts to; and the answers to requests. The usages themselves stay as they were received and rated.

The usages of an account are found by an index that the first request creates: rating pays for it on every usage, a seventh more of
MongoDB's time, and who never re-rates need not. It may be dropped again; the next request creates it anew.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import bson
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import Charge, RerateCompleted, RerateRequested, UsageRated
from libs.periods import Period
from libs.runtime import Index, from_document, in_transaction, to_document
from libs.runtime.exact_numbers import decimal128
from libs.runtime.mongo import CODEC_OPTIONS
from services.rating.charges import ChargeStore
from services.rating.collisions import collisions
from services.rating.commands import write_all
from services.rating.directory import Directory
from services.rating.documents import Document, earlier_answer, opened_charge, priced_usage
from services.rating.domain.accumulation import Increment
from services.rating.domain.correcting import Correction
from services.rating.domain.counted import Counted, add_counted, tiers_after
from services.rating.domain.deciding import UsageCharge
from services.rating.domain.holdings import Account, Product
from services.rating.domain.repricing import Repricer, Shelf, Standing
from services.rating.domain.rerating import Movement, Reratings, movements_of
from services.rating.rerated_documents import rerated_document, rerated_fact

# Usages of one transaction; the request then asks for the next ones itself. All that started in one instant come together.
RERATED_AT_A_TIME = 2_000
USAGES_OF_AN_ACCOUNT = Index("usage", (("account_id", 1), ("started_at", 1)), "re-rating, TMF635: usages of an account in an interval")
INDEXES = (
    USAGES_OF_AN_ACCOUNT,
    Index("reratings", (("usage_id", 1), ("number", 1)), "what stands of a usage; one re-rating at a time", unique=True),
)
# MongoDB keeps milliseconds.
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Slice:
    """Some usages of an account, all of those from where a request resumed until `resume_at`, with what is known about them."""

    standings: Sequence[Standing]
    charges: Mapping[str, Charge]
    products: Mapping[str, Product]
    resume_at: datetime

    def repricer(self, account: Account, shelf: Shelf, *, by_present_offering: bool) -> Repricer:
        """What prices them anew."""
        return Repricer(account, shelf, self.charges, self.products, by_present_offering)


class ReratingStore:
    """The collections `reratings` and `rerating_requests`, and what re-rating adds to `charges`."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase, charges: ChargeStore, directory: Directory) -> None:
        self._client = client
        self._store = store
        self._usage = store["usage"]
        self._charges = store["charges"]
        self._reratings = store["reratings"]
        self._requests = store["rerating_requests"]
        self._charge_store = charges
        self._directory = directory

    async def answer(self, request_id: str) -> RerateCompleted | None:
        """What a request was answered, when it ended before."""
        document = await self._requests.find_one({"_id": request_id})
        return None if document is None else from_document(RerateCompleted, document)

    async def end(self, completed: RerateCompleted) -> RerateCompleted:
        """Keep the answer to a request; the first one, when it comes again."""
        await self._requests.update_one({"_id": completed.id}, {"$setOnInsert": to_document(completed)}, upsert=True)
        kept = await self.answer(completed.id)
        assert kept is not None, f"the answer to {completed.id} was just kept"
        return kept

    async def account(self, account_id: str) -> Account | None:
        """The account as it is now."""
        return (await self._directory.accounts([account_id])).get(account_id)

    async def find(self, request: RerateRequested, rest: Period) -> Slice:
        """The next usages of a request, with the outcomes that stand."""
        documents, resume_at = await self._usages(request.account_id, rest)
        reratings = await self._reratings_of([document["_id"] for document in documents])
        standings = [_standing(document, reratings.get(document["_id"], ()), request.id) for document in documents]
        counting = {standing.first_charge_id for standing in standings} | {part.charge_id for each in standings for part in each.parts}
        charges = await self.charges(counting)
        held = await self._directory.products_of([request.account_id])
        products = {product.id: product for product in held.get(request.account_id, ())}
        return Slice(standings, charges, products, resume_at)

    async def charges(self, charge_ids: Iterable[str]) -> dict[str, Charge]:
        """Those of these charges that are there."""
        found = self._charges.find({"_id": {"$in": list(set(charge_ids))}})
        return {document["_id"]: from_document(Charge, document) async for document in found}

    async def to_be_opened(self, reratings: Reratings, at: datetime) -> dict[str, Charge]:
        """The charges that a real re-rating would open, by id."""
        there = await self.charges(reratings.places)
        opened: dict[str, Charge] = {}
        for charge_id, place in reratings.places.items():
            if charge_id in there or isinstance(place, Charge):
                continue
            if isinstance(place, Correction):
                opened[charge_id] = await self._continued(place, None)
            else:
                opened[charge_id] = await self._opened(place, at)
        return opened

    async def add(self, reratings: Reratings, at: datetime) -> None:
        """Store what is new, and post it, in one transaction. Raises Collision when nothing of it was stored."""
        if not reratings.fresh:
            return
        movements = movements_of(reratings.fresh)
        places = {charge_id: reratings.places[charge_id] for charge_id in movements}
        counting = {id: _increment(place, movements[id]) for id, place in places.items() if isinstance(place, UsageCharge)}
        corrections = [place for place in places.values() if isinstance(place, Correction)]
        others = [id for id in places if id not in counting]

        async def write(session: AsyncClientSession) -> None:
            insert = {"insert": "reratings", "documents": [rerated_document(fact) for fact in reratings.fresh], "ordered": False}
            await write_all(self._store, insert, session)
            await self._open(corrections, session)
            await self._charge_store.add(counting, at, session)
            updates = [{"q": {"_id": id}, "u": _update(movements[id], at)} for id in others]
            if not updates:
                return
            found_count = await write_all(self._store, {"update": "charges", "updates": updates, "ordered": False}, session)
            assert found_count == len(updates), f"{len(updates)} charges were to be posted to, {found_count} were there"

        with collisions(), self._charge_store.known_after(counting):
            await in_transaction(self._client, write)

    async def _usages(self, account_id: str, rest: Period) -> tuple[list[Document], datetime]:
        query: dict[str, Any] = {"account_id": account_id, "started_at": {"$gte": rest.start, "$lt": rest.end}}
        found = self._usage.find(query).hint(list(USAGES_OF_AN_ACCOUNT.keys)).sort("started_at", 1)
        documents = await found.limit(RERATED_AT_A_TIME + 1).to_list()
        if len(documents) <= RERATED_AT_A_TIME:
            return documents, rest.end
        last = documents[-1]["started_at"]
        if documents[0]["started_at"] == last:
            return await self._usage.find({"account_id": account_id, "started_at": last}).to_list(), last + _TICK
        return [document for document in documents if document["started_at"] < last], last

    async def _reratings_of(self, usage_ids: Sequence[str]) -> dict[str, list[Document]]:
        found: dict[str, list[Document]] = {}
        async for document in self._reratings.find({"usage_id": {"$in": list(usage_ids)}}).sort("number", 1):
            found.setdefault(document["usage_id"], []).append(document)
        return found

    async def _open(self, corrections: Sequence[Correction], session: AsyncClientSession) -> None:
        if not corrections:
            return
        there = self._charges.find({"_id": {"$in": [each.charge.id for each in corrections]}}, {"_id": 1}, session=session)
        known = {document["_id"] async for document in there}
        missing = [await self._continued(each, session) for each in corrections if each.charge.id not in known]
        if missing:
            await self._charges.insert_many([{**to_document(charge), "seal": 0} for charge in missing], ordered=False, session=session)

    async def _continued(self, correction: Correction, session: AsyncClientSession | None) -> Charge:
        """A correction whose tiers go on from what they are to."""
        charge = correction.charge
        if charge.tiers is None or not correction.continued_ids:
            return charge
        counted = await self._counted_by(correction.continued_ids, session)
        return charge.model_copy(update={"tiers": tiers_after(charge.tiers, counted)})

    async def _opened(self, place: UsageCharge, at: datetime) -> Charge:
        document = opened_charge(place.id, Increment(place), at, await self._counted_by(place.continued_ids, None))
        # As it would be read again.
        return from_document(Charge, bson.decode(bson.encode(document, codec_options=CODEC_OPTIONS), CODEC_OPTIONS))

    async def _counted_by(self, charge_ids: Sequence[str], session: AsyncClientSession | None) -> Counted:
        return add_counted((await self._charge_store.counted(charge_ids, session)).values())


def _standing(document: Document, reratings: Sequence[Document], request_id: str) -> Standing:
    earlier = earlier_answer(document)
    assert isinstance(earlier.answer, UsageRated), f"usage {earlier.usage.id} has an account and no price"
    return Standing.of(priced_usage(document), earlier.answer, [rerated_fact(rerating) for rerating in reratings], request_id)


def _increment(place: UsageCharge, movement: Movement) -> Increment:
    return Increment(place, movement.usage_count, movement.quantity, movement.sums)


def _update(movement: Movement, at: datetime) -> Document:
    added: Document = {f"sums.{denominator}": decimal128(numerator) for denominator, numerator in movement.sums.items()}
    # 0 cannot be added to the seal of a charge that was cut since it was read.
    added |= {"usage_count": movement.usage_count, "quantity": decimal128(movement.quantity), "seal": 0}
    return {"$inc": added, "$set": {"updated_at": at}}
