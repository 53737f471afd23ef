"""Adopting usages: each is stored with the price that it was given, and counted in the charge that counted it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pymongo import AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import ChargeTiers, UsageRated, UsageReceived, UsageRejected
from libs.pricing import RateBooks
from libs.runtime import in_transaction
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import Published
from services.rating.adoption.documents import parts_of, rated_usage_document, received_usage_of, rejected_documents
from services.rating.buckets import BucketStore
from services.rating.charges import ChargeStore
from services.rating.directory import Directory
from services.rating.documents import NUMBERS, Document, charge_update, opened_charge
from services.rating.domain.accumulation import Increment
from services.rating.domain.counted import NOTHING_COUNTED, add_counted, tiers_after
from services.rating.domain.deciding import Rated, Rater, UsageCharge, charge_of_sequence
from services.rating.domain.drawing import BucketChange, draw_allowances, plan_draws
from services.rating.domain.limits import UsageLimits

# A month of an account that was cut more often is no ordinary one.
SEQUENCES_MAX = 200


class UsageAdoption:
    """Writes `usage`, `suspense`, `charges` and `buckets` as usages were published."""

    def __init__(
        self, client: AsyncMongoClient, store: AsyncDatabase, charges: ChargeStore, directory: Directory, limits: UsageLimits
    ) -> None:
        self._client = client
        self._usage = store["usage"]
        self._suspense = store["suspense"]
        self._charges = store["charges"]
        self._charge_store = charges
        self._buckets = BucketStore(store)
        self._directory = directory
        self._limits = limits
        self._counting: dict[str, tuple[list[str], ChargeTiers]] = {}

    async def adopt_rejected(self, rejected: Sequence[Published[UsageRejected]], adopted: Adopted) -> None:
        """Put usages into suspense again."""
        documents = [rejected_documents(each.fact, each.at, self._limits.intake.numbers) for each in rejected]
        await insert_missing(self._usage, [usage for usage, _ in documents if usage is not None], adopted, "rejected usages")
        await insert_missing(self._suspense, [entry for _, entry in documents if entry is not None], adopted, "entries in suspense")

    async def adopt_rated(self, published: Sequence[Published[UsageRated]], books: RateBooks, adopted: Adopted) -> None:
        """Store usages that are not there yet, or that are there as rejected, with their prices."""
        newest = {each.fact.id: each.fact for each in published}
        there = {document["_id"]: document async for document in self._usage.find({"_id": {"$in": list(newest)}}, {"suspense_id": 1})}
        fresh = [fact for id, fact in newest.items() if id not in there or "suspense_id" in there[id]]
        if not fresh:
            return
        at = max(each.at for each in published)
        rated = await self._rated_again(fresh, books, at)
        increments = await self._increments(fresh, rated, adopted)
        missing_charges = {part.charge_id for fact in fresh for part in parts_of(fact)} - increments.keys()
        kept = [fact for fact in fresh if not any(part.charge_id in missing_charges for part in parts_of(fact))]
        draws = await self._draws([fact for fact in kept if fact.id in rated], rated, books, adopted)
        suspense_ids = {id: document["suspense_id"] for id, document in there.items() if "suspense_id" in document}
        await self._write(kept, increments, draws, suspense_ids, at)
        adopted.counts["usages"] += len(kept)

    async def adopt_as_received(self, received: Sequence[UsageReceived]) -> None:
        """Keep the numbers of usages as they came, where rating had brought them into another form."""
        by_id = {usage.id: usage for usage in received}
        updates = []
        wanted = {"_id": {"$in": list(by_id)}, "received": {"$exists": False}, "charge_id": {"$exists": True}}
        async for document in self._usage.find(wanted, dict.fromkeys(NUMBERS, 1)):
            usage = by_id[document["_id"]]
            other = {name: getattr(usage, name) for name in NUMBERS if getattr(usage, name) != document.get(name)}
            if other:
                updates.append(UpdateOne({"_id": usage.id}, {"$set": {"received": other}}))
        if updates:
            await self._usage.bulk_write(updates, ordered=False)

    async def count_tiers(self) -> None:
        """Let the charges that were opened go on from what earlier sequences of their months counted."""
        for charge_id, (earlier_ids, tiers) in self._counting.items():
            counted = add_counted((await self._charge_store.counted(earlier_ids, None)).values())
            await self._charges.update_one({"_id": charge_id}, {"$set": {"tiers": tiers_after(tiers, counted).model_dump()}})

    async def _rated_again(self, facts: Iterable[UsageRated], books: RateBooks, at: datetime) -> dict[str, Rated]:
        """The usages as they would be rated now, which tells prices, products and months in full."""
        facts = list(facts)
        holdings = await self._directory.holdings({fact.identifier for fact in facts})
        rater = Rater(holdings, books, self._limits, at)
        outcomes = {fact.id: rater.rate(received_usage_of(fact), is_released=True) for fact in facts}
        return {id: outcome for id, outcome in outcomes.items() if isinstance(outcome, Rated)}

    async def _increments(
        self, facts: Sequence[UsageRated], rated: Mapping[str, Rated], adopted: Adopted
    ) -> dict[str, tuple[Increment, bool]]:
        """Return the increments of charges by id, and whether each charge is to be opened."""
        wanted = {part.charge_id for fact in facts for part in parts_of(fact)}
        there = {document["_id"] async for document in self._charges.find({"_id": {"$in": list(wanted)}}, {"_id": 1})}
        increments: dict[str, tuple[Increment, bool]] = {}
        for fact in facts:
            counted: set[str] = set()
            for part in parts_of(fact):
                if part.charge_id not in increments:
                    charge = _charge_named(part.charge_id, part.price_id, rated.get(fact.id))
                    if charge is None and part.charge_id not in there:
                        adopted.lost.append(
                            f"usage {fact.id} was counted in charge {part.charge_id}, which cannot be opened again: it is rated anew"
                        )
                        break
                    # The charge of an increment is asked for only where it is opened.
                    increments[part.charge_id] = Increment(charge), part.charge_id not in there  # type: ignore[arg-type]
                increment, _ = increments[part.charge_id]
                increment.usage_count += part.charge_id not in counted
                increment.quantity += part.charged_quantity
                increment.sums[part.denominator] = increment.sums.get(part.denominator, 0) + part.numerator
                counted.add(part.charge_id)
        return increments

    async def _draws(
        self, facts: Sequence[UsageRated], rated: Mapping[str, Rated], books: RateBooks, adopted: Adopted
    ) -> Sequence[BucketChange]:
        """The buckets after these usages drew from them in their order."""
        again = [rated[fact.id] for fact in facts]
        plan = plan_draws(again, books)
        if not plan.bucket_ids:
            return ()
        drawn = draw_allowances(again, plan, await self._buckets.find(plan.bucket_ids))
        for fact, each in zip(facts, drawn.rated, strict=True):
            if fact.allowances != each.allowances:
                adopted.lost.append(
                    f"usage {fact.id} drew from allowances otherwise than it would now: `tarifa audit` compares its buckets"
                )
        return drawn.changes

    async def _write(
        self,
        facts: Sequence[UsageRated],
        increments: Mapping[str, tuple[Increment, bool]],
        draws: Sequence[BucketChange],
        suspense_ids: Mapping[str, str],
        at: datetime,
    ) -> None:
        usages = [ReplaceOne({"_id": fact.id}, rated_usage_document(fact), upsert=True) for fact in facts]
        opened = [_opened(id, increment, at) for id, (increment, is_new) in increments.items() if is_new]
        updates = [UpdateOne({"_id": id}, charge_update(increment, at)) for id, (increment, is_new) in increments.items() if not is_new]
        resolved = {"$set": {"state": "rated", "retry_id": None, "resolved_at": at}}
        entries = [UpdateOne({"_id": suspense_ids[fact.id], "state": "open"}, resolved) for fact in facts if fact.id in suspense_ids]

        async def write(session: AsyncClientSession) -> None:
            await self._buckets.write(draws, at, session)
            if usages:
                await self._usage.bulk_write(usages, ordered=False, session=session)
            if opened:
                await self._charges.insert_many(opened, ordered=False, session=session)
            if updates:
                await self._charges.bulk_write(updates, ordered=False, session=session)
            if entries:
                await self._suspense.bulk_write(entries, ordered=False, session=session)

        await in_transaction(self._client, write)
        for id, (increment, is_new) in increments.items():
            if is_new and increment.charge.continued_ids and increment.charge.price.tiers is not None:
                self._counting[id] = increment.charge.continued_ids, increment.charge.price.tiers


def _opened(id: str, increment: Increment, at: datetime) -> Document:
    return opened_charge(id, increment, at, NOTHING_COUNTED)


def _charge_named(charge_id: str, price_id: str, rated: Rated | None) -> UsageCharge | None:
    """The charge of this id, for whichever sequence of its month; None when the usage is priced otherwise now."""
    if rated is None:
        return None
    of_price = [charge for charge in (rated.charge, *rated.others) if charge.price.price_id == price_id]
    for charge in of_price:
        for sequence in range(SEQUENCES_MAX):
            named = charge_of_sequence(charge, sequence)
            if named.id == charge_id:
                return named
    return None
