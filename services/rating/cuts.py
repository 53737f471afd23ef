"""Cuts in MongoDB: each is decided once and kept with its lines in `cuts`, so that it answers the same for ever. One that
will never be billed is marked `returned_at`, and its charges wait for the next.

A batch of cuts is one transaction with few round trips. Usage that flows into the same charges makes it conflict; then it
is halved, for a shorter transaction is in nobody's way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

import structlog
from bson.errors import BSONError
from pymongo import AsyncMongoClient, InsertOne, UpdateMany, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from libs.contracts import UNBILLED, Charge, ChargeKind, ChargesClosed, ChargeState, CutRefused, PeriodCut, RunType
from libs.money import sum_fractions
from libs.periods import Period
from libs.runtime import Index, from_document, in_transaction, to_document
from libs.runtime.failures import is_infrastructure, reason_of
from libs.runtime.mongo_errors import error_codes
from services.rating.directory import Directory
from services.rating.domain.charged_as import ChargedAs
from services.rating.domain.cutting import Closing, Cutter, Owed, refuse
from services.rating.domain.fee_corrections import CORRECTED_BACK
from services.rating.domain.holdings import CHARGED, Product
from services.rating.domain.paid_fees import counts_since
from services.rating.store import NEWEST_FIRST

INDEXES = (Index("cuts", (("account_id", 1), ("run_type", 1), ("period.start", 1)), "fees heard of late: the months that were cut"),)

# An id has 256 bytes at most, so that a question stays below 3 MB: MongoDB takes 16 MB, and daily fees of many accounts ask for more.
IDS_ASKED_AT_ONCE = 10_000

WRITE_CONFLICT = 112
REFUSED_BY_MONGODB = (PyMongoError, BSONError)

CHARGES_OF_AN_ACCOUNT = [("account_id", 1), *NEWEST_FIRST]

Answer = ChargesClosed | CutRefused

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a batch of cuts comes to: their answers by id, and what is to be written of those that close something."""

    answers: dict[str, Answer] = field(default_factory=dict)
    closings: list[Closing] = field(default_factory=list)
    known: dict[str, ChargedAs | None] = field(default_factory=dict)
    first_cuts: dict[str, str] = field(default_factory=dict)


class CutStore:
    """The collection `cuts`, and the closing and returning side of `charges`."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase, directory: Directory) -> None:
        self._client = client
        self._cuts = store["cuts"]
        self._charges = store["charges"]
        self._accounts = store["accounts"]
        self._products = store["products"]
        self._directory = directory

    async def make(self, cuts: Sequence[PeriodCut], cutter: Cutter) -> dict[str, Answer]:
        """Return the answer of each cut by its id: the earlier one, or the cutter's, which is stored. One cut per account.

        Several cuts that fail together are halved. One that fails alone is refused with the reason, so that all others go on.
        Raises what the infrastructure raises.
        """
        if len(cuts) == 1:
            return await self._make_alone(cuts[0], cutter)
        try:
            async with self._client.start_session() as session, await session.start_transaction():
                return await self._make(cuts, cutter, session)
        except REFUSED_BY_MONGODB as error:
            if is_infrastructure(error) and not _is_transient(error):
                raise
        half = len(cuts) // 2
        return {**await self.make(cuts[:half], cutter), **await self.make(cuts[half:], cutter)}

    async def _make_alone(self, cut: PeriodCut, cutter: Cutter) -> dict[str, Answer]:
        try:
            return await in_transaction(self._client, lambda session: self._make([cut], cutter, session))
        except REFUSED_BY_MONGODB as error:
            # Other writers are out of the way after so long, unless it is the account's own charges that conflict.
            if is_infrastructure(error) and not _is_conflict(error):
                raise
            logger.error("cut refused", cut_id=cut.id, account_id=cut.account_id, exc_info=error)
            return {cut.id: refuse(cut, f"{reason_of(error)}: mend what it names, then ask again")}

    async def preview(self, cuts: Sequence[PeriodCut], cutter: Cutter) -> dict[str, Answer]:
        """Return the answer that each cut would have now, by its id. Reads only, so it is in nobody's way. One cut per account."""
        decided = await in_transaction(self._client, lambda session: self._decide(cuts, cutter, session))
        return decided.answers

    async def known(self, cut_ids: Iterable[str]) -> set[str]:
        """Those of these cuts that were made."""
        return {document["_id"] async for document in self._cuts.find({"_id": {"$in": list(cut_ids)}}, {"_id": 1})}

    async def give_back(self, cut_ids: Sequence[str], at: datetime) -> None:
        """The charges of these cuts are for the next cut of their accounts, unless they have moved on already."""

        async def give(session: AsyncClientSession) -> None:
            cuts = self._cuts.find(
                {"_id": {"$in": list(cut_ids)}, "returned_at": {"$exists": False}}, {"lines.charge_id": 1}, session=session
            )
            charges_of = {cut["_id"]: [line["charge_id"] for line in cut["lines"]] async for cut in cuts}
            if not charges_of:
                return
            returned = {"$set": {"state": ChargeState.RETURNED.value, "updated_at": at}}
            await self._charges.bulk_write(
                [
                    UpdateMany({"_id": {"$in": ids}, "state": ChargeState.CLOSED.value, "cut_id": cut_id}, returned)
                    for cut_id, ids in charges_of.items()
                ],
                session=session,
            )
            await self._cuts.update_many({"_id": {"$in": list(charges_of)}}, {"$set": {"returned_at": at}}, session=session)

        await in_transaction(self._client, give)

    async def _make(self, cuts: Sequence[PeriodCut], cutter: Cutter, session: AsyncClientSession) -> dict[str, Answer]:
        answers: dict[str, Answer] = await self._find(cuts, session)
        fresh = [cut for cut in cuts if cut.id not in answers]
        if not fresh:
            return answers
        decided = await self._decide(fresh, cutter, session)
        await self._write(decided.closings, session)
        await self._directory.remember_charged(decided.first_cuts, decided.known, session)
        return answers | decided.answers

    async def _decide(self, cuts: Sequence[PeriodCut], cutter: Cutter, session: AsyncClientSession) -> Decided:
        """Read what is owed and decide the cuts. Nothing is written, so that a preview comes to what the cut would."""
        owed = await self._owed(cuts, session)
        owed |= await self._reckoned(cuts, owed, cutter, session)
        charged = await self._charged(
            [id for cut in cuts if cut.account_id in owed for id in cutter.fee_ids(cut, owed[cut.account_id])], session
        )
        since = {cut.account_id: cutter.adjusted_since(cut, owed[cut.account_id], charged) for cut in cuts if cut.account_id in owed}
        closed_before = await self._closed_before({id: at for id, at in since.items() if at is not None}, session)
        decided = Decided()
        for cut in cuts:
            outcome = cutter.decide(cut, owed.get(cut.account_id), charged, closed_before.get(cut.account_id))
            if isinstance(outcome, Closing):
                owing = owed[cut.account_id]
                decided.closings.append(outcome)
                decided.known.update(cutter.known_now(cut, owing))
                decided.first_cuts.update(dict.fromkeys((product.id for product in owing.newcomers), cut.id))
            decided.answers[cut.id] = outcome.answer if isinstance(outcome, Closing) else outcome
        return decided

    async def _find(self, cuts: Sequence[PeriodCut], session: AsyncClientSession) -> dict[str, Answer]:
        found = self._cuts.find({"_id": {"$in": [cut.id for cut in cuts]}}, session=session)
        return {document["_id"]: from_document(ChargesClosed, document) async for document in found}

    async def _owed(self, cuts: Sequence[PeriodCut], session: AsyncClientSession) -> dict[str, Owed]:
        account_ids = [cut.account_id for cut in cuts]
        accounts = await self._directory.accounts(account_ids, session)
        on_cycle = {cut.account_id: cut.period for cut in cuts if cut.period is not None}
        products, known = await self._directory.products_to_charge(account_ids)
        newcomers = await self._newcomers(on_cycle, products, session)
        charges: dict[str, list[Charge]] = {}
        unbilled = self._charges.find({"account_id": {"$in": account_ids}, "state": {"$in": UNBILLED}}, session=session)
        # Left to itself MongoDB at times walks through all open charges of everybody instead.
        async for document in unbilled.hint(CHARGES_OF_AN_ACCOUNT):
            charges.setdefault(document["account_id"], []).append(from_document(Charge, document))
        return {
            id: Owed(account, charges.get(id, ()), products.get(id, ()), newcomers.get(id, ()), known.get(id, {}))
            for id, account in accounts.items()
        }

    async def _reckoned(
        self, cuts: Sequence[PeriodCut], owed: Mapping[str, Owed], cutter: Cutter, session: AsyncClientSession
    ) -> dict[str, Owed]:
        """Those accounts of whose products something is known otherwise than to their last cut, with what was charged of fees."""
        known = [(cut, owed[cut.account_id]) for cut in cuts if cut.account_id in owed]
        since = {cut.account_id: at for cut, owing in known if (at := cutter.fees_corrected_since(cut, owing)) is not None}
        if not since:
            return {}
        paid: dict[str, list[Charge]] = {id: [] for id in since}
        counting = [{"period.end": {"$gt": min(since.values())}}, {"corrected_from": {"$ne": None}}]
        query = {"account_id": {"$in": list(since)}, "kind": ChargeKind.RECURRING.value, "$or": counting}
        async for document in self._charges.find(query, session=session).hint(CHARGES_OF_AN_ACCOUNT):
            charge = from_document(Charge, document)
            if counts_since(charge, since[charge.account_id]):
                paid[charge.account_id].append(charge)
        # A fee that reaches into the year may begin so long before.
        earlier = await self._earlier({id: at - CORRECTED_BACK for id, at in since.items()}, session)
        return {
            cut.account_id: cutter.reckoned(cut, replace(owing, earlier=earlier.get(cut.account_id, ())), paid[cut.account_id])
            for cut, owing in known
            if cut.account_id in since
        }

    async def _newcomers(
        self, account_ids: Iterable[str], products: Mapping[str, Sequence[Product]], session: AsyncClientSession
    ) -> dict[str, list[Product]]:
        # Outside the transaction and after `products`, which are read so as well: one that came in between must not pass for met.
        query = {"account_id": {"$in": list(account_ids)}, "status": {"$in": sorted(CHARGED)}, "first_cut_id": {"$exists": False}}
        unmet = {document["_id"] for document in await self._products.find(query, {"_id": 1}).to_list()}
        if not unmet:
            return {}
        # Met before cuts left their mark: then it has paid already, perhaps for another offering.
        unmet -= set(await self._charges.distinct("product_id", {"product_id": {"$in": list(unmet)}, "kind": "recurring"}, session=session))
        # By the status that the fee is counted of as well: one that became active between the two looks is met by the next cut.
        return {id: [product for product in held if product.id in unmet and product.status in CHARGED] for id, held in products.items()}

    async def _earlier(self, since: Mapping[str, datetime], session: AsyncClientSession) -> dict[str, list[Period]]:
        """The periods of these accounts' cycles that were cut, from then on at least."""
        if not since:
            return {}
        starts = {"$gte": min(since.values())}
        query = {"account_id": {"$in": list(since)}, "run_type": RunType.ON_CYCLE.value, "period.start": starts}
        earlier: dict[str, list[Period]] = {}
        async for cut in self._cuts.find(query, {"account_id": 1, "period": 1}, session=session).sort("period.start", 1):
            earlier.setdefault(cut["account_id"], []).append(Period(**cut["period"]))
        return earlier

    async def _closed_before(self, since: Mapping[str, datetime], session: AsyncClientSession) -> dict[str, list[Charge]]:
        """What earlier cuts closed and keep of these accounts' months from then on."""
        closed: dict[str, list[Charge]] = {id: [] for id in since}
        if not closed:
            return closed
        kept = {"state": {"$in": [ChargeState.CLOSED.value, ChargeState.BILLED.value]}, "period.end": {"$gt": min(since.values())}}
        found = self._charges.find({"account_id": {"$in": list(closed)}, **kept}, session=session)
        async for document in found.hint(CHARGES_OF_AN_ACCOUNT):
            closed[document["account_id"]].append(from_document(Charge, document))
        return closed

    async def _charged(self, charge_ids: Sequence[str], session: AsyncClientSession) -> dict[str, Fraction]:
        """The exact amounts of those charges that exist."""
        charged: dict[str, Fraction] = {}
        for asked in range(0, len(charge_ids), IDS_ASKED_AT_ONCE):
            ids = list(charge_ids[asked : asked + IDS_ASKED_AT_ONCE])
            found = self._charges.find({"_id": {"$in": ids}}, {"sums": 1}, session=session)
            charged |= {document["_id"]: sum_fractions(document["sums"]) async for document in found}
        return charged

    async def _write(self, closings: Sequence[Closing], session: AsyncClientSession) -> None:
        if not closings:
            return
        charges: list[UpdateOne | InsertOne] = [_close(charge) for closing in closings for charge in closing.closed]
        charges += [InsertOne(to_document(charge)) for closing in closings for charge in closing.made]
        if charges:
            result = await self._charges.bulk_write(charges, ordered=False, session=session)
            closed_count = sum(len(closing.closed) for closing in closings)
            assert result.matched_count == closed_count, f"{closed_count} charges were to be closed, {result.matched_count} were unbilled"
        counts = [_count(closing) for closing in closings if closing.month_labels]
        if counts:
            await self._accounts.bulk_write(counts, ordered=False, session=session)
        await self._cuts.insert_many([to_document(closing.answer) for closing in closings], ordered=False, session=session)


def _is_transient(error: Exception) -> bool:
    return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")


def _is_conflict(error: Exception) -> bool:
    """Return whether other writers were in the way, or a second document of one id within the transaction, which MongoDB tells alike."""
    return isinstance(error, OperationFailure) and WRITE_CONFLICT in error_codes(error)


def _close(charge: Charge) -> UpdateOne:
    changed = {
        "state": charge.state.value,
        "amount": charge.amount,
        "cut_id": charge.cut_id,
        "updated_at": charge.updated_at,
    }
    # By id alone, MongoDB's fast path: it was read as unbilled in this transaction, which fails when somebody changed it since.
    return UpdateOne({"_id": charge.id}, {"$set": {**changed, "seal": charge.cut_id}})


def _count(closing: Closing) -> UpdateOne:
    answer = closing.answer
    counted: dict[str, Any] = {"$inc": {f"cuts.{label}": 1 for label in sorted(closing.month_labels)}}
    if answer.run_type is RunType.ON_CYCLE:
        counted["$max"] = {"billed_until": answer.period.end}
    return UpdateOne({"_id": answer.account_id}, counted)
