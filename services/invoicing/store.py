"""The collections of invoicing: `bills`, `numbers` (the last number of each series), `decisions` and `state_answers`.

A bill document is a `BillIssued`. Its lines, taxes and totals never change; MOVING_FIELDS do. Three unique indexes
keep what no code may break: one bill per cut, one per number, and no charge on two bills.

A decision is an `AccountParked` that is final, under the id of its cut, or names the bill of an offCycle cut: written in one
transaction with the bill, so that no instance can bill what another has parked for good.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pymongo import AsyncMongoClient, ReturnDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.billing import BillDraft
from libs.contracts import AccountParked, BillIssued, BillState, BillStateChanged, BillStateRefused, BillStateRequested, RunType
from libs.runtime import Index, Unprocessable, from_document, in_transaction, to_document
from libs.runtime.exact_numbers import decimal128
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.invoicing.domain.series import InvoiceSeries, bill_numbers

INDEXES = (
    Index("bills", (("bill_no", 1),), "one bill per legal number; find a bill by the number on it", unique=True),
    Index("bills", (("cut_id", 1),), "one bill per cut; a repeated cut finds its bill", unique=True),
    Index("bills", (("lines.charge_id", 1),), "no charge on two bills; the bill of a charge", unique=True),
    Index("bills", (("bill_date", -1), ("_id", 1)), "gateway: all bills, newest first"),
    Index("bills", (("account_id", 1), ("bill_date", -1), ("_id", 1)), "gateway: the bills of an account, newest first"),
    Index("bills", (("state", 1), ("bill_date", -1), ("_id", 1)), "gateway: the bills in a state, newest first"),
    Index("bills", (("cause_id", 1),), "audit: the bills of a bill run or an on-demand request"),
    Index("documents.chunks", (("files_id", 1), ("n", 1)), "GridFS: the chunks of a document in order", unique=True),
    Index("lacking_glyphs", (("rendered_at", -1),), "status and tarifa documents: the latest first"),
)
MOVING_FIELDS = ("state", "held_from", "remaining_amount", "last_update_at")

StateAnswer = BillStateChanged | BillStateRefused
CutDecision = BillIssued | AccountParked


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a draft cannot be kept. `is_final`: whether that can ever change; None when it is like any other parking."""

    reason: str
    is_final: bool | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of drafts, by cut id: bills with their numbers, or what another instance decided; and why the others cannot be kept."""

    decided: dict[str, CutDecision]
    refusals: dict[str, Refusal]


class BillStore:
    """Reads and writes of bills; the only writer of their numbers and states."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase, series: InvoiceSeries) -> None:
        self._client = client
        self._bills = database["bills"]
        self._numbers = database["numbers"]
        self._decisions = database["decisions"]
        self._state_answers = database["state_answers"]
        self._series = series

    async def decided(self, cut_ids: Iterable[str]) -> dict[str, CutDecision]:
        """What was decided about these cuts for good, by cut id: bills as they were issued, and final parkings."""
        wanted = {"$in": list(set(cut_ids))}
        parkings = self._decisions.find({"_id": wanted, "bill_id": {"$exists": False}})
        decided: dict[str, CutDecision] = {document["_id"]: from_document(AccountParked, document) async for document in parkings}
        bills = self._bills.find({"cut_id": wanted})
        return decided | {document["cut_id"]: _as_issued(from_document(BillIssued, document)) async for document in bills}

    async def find(self, bill_id: str) -> BillIssued | None:
        """A bill as it is now."""
        document = await self._bills.find_one({"_id": bill_id})
        return from_document(BillIssued, document) if document else None

    async def add(self, drafts: Sequence[BillDraft]) -> Kept:
        """Number and keep drafts, all in one transaction; one that violates a unique index is left out, the rest goes on."""
        kept = Kept({}, {})
        left = {draft.unnumbered.cut_id: draft for draft in drafts}
        # Every turn ends the loop or takes at least one draft out.
        while left:
            try:
                with ids_may_be_there():
                    kept.decided.update(await self._insert(left))
                break
            except AlreadyThere as there:
                violation = there.violations[0]
                # Another instance may have decided the same cuts, while partitions moved: what it decided is the answer.
                decided = await self.decided(left)
                kept.decided.update(decided)
                if not decided:
                    kept.refusals[list(left)[violation["index"]]] = await self._refusal(violation)
                left = {cut_id: draft for cut_id, draft in left.items() if cut_id not in kept.decided and cut_id not in kept.refusals}
        return kept

    async def park(self, parkings: Sequence[AccountParked]) -> dict[str, CutDecision]:
        """Keep the final ones, by cut id; where another instance decided the cut meanwhile, that is the answer."""
        final = [parking for parking in parkings if parking.is_final]
        if not final:
            return {parking.id: parking for parking in parkings}
        with suppress(AlreadyThere), ids_may_be_there():
            await self._decisions.insert_many([to_document(parking) for parking in final], ordered=False)
        return {**{parking.id: parking for parking in parkings}, **await self.decided(parking.id for parking in final)}

    async def answer_state(self, request: BillStateRequested, decide: Callable[[BillIssued | None], StateAnswer]) -> StateAnswer:
        """The answer given to this request before, or a new one: decided, applied and remembered in one transaction."""

        async def answer(session: AsyncClientSession) -> StateAnswer:
            document = await self._bills.find_one({"_id": request.bill_id, "account_id": request.account_id}, session=session)
            remembered = await self._state_answers.find_one({"_id": request.id}, session=session)
            if remembered is not None:
                about = (remembered["bill_id"], remembered["account_id"])
                if about != (request.bill_id, request.account_id):
                    raise Unprocessable(f"request {request.id} was about bill {about[0]} of account {about[1]}: ask under an id of its own")
                return _remembered_answer(remembered, document)
            decided = decide(from_document(BillIssued, document) if document else None)
            await self._state_answers.insert_one(state_answer_document(decided), session=session)
            if isinstance(decided, BillStateChanged):
                moved = {field: getattr(decided.bill, field) for field in MOVING_FIELDS}
                await self._bills.update_one({"_id": decided.bill.id}, {"$set": moved}, session=session)
            return decided

        return await in_transaction(self._client, answer)

    async def _insert(self, drafts: Mapping[str, BillDraft]) -> dict[str, BillIssued]:
        # Everything that takes time is made before the transaction, so the counters are locked for two writes only.
        by_series: dict[str, list[tuple[BillDraft, dict[str, Any]]]] = defaultdict(list)
        documents = []
        on_demand = [draft.unnumbered for draft in drafts.values() if draft.unnumbered.run_type is RunType.OFF_CYCLE]
        for draft in drafts.values():
            document = _with_decimal128(to_document(draft.unnumbered))
            documents.append(document)
            by_series[self._series.of(draft.unnumbered)].append((draft, document))

        async def insert(session: AsyncClientSession) -> dict[str, BillIssued]:
            issued = {}
            if on_demand:
                await self._decisions.insert_many([{"_id": bill.cut_id, "bill_id": bill.id} for bill in on_demand], session=session)
            for series in sorted(by_series):
                block = by_series[series]
                counter = await self._numbers.find_one_and_update(
                    {"_id": series}, {"$inc": {"last": len(block)}}, upsert=True, return_document=ReturnDocument.AFTER, session=session
                )
                assert counter is not None, "an upsert returns what it left"
                for (draft, document), bill_no in zip(block, bill_numbers(series, counter["last"], len(block)), strict=True):
                    document["bill_no"] = bill_no
                    issued[draft.unnumbered.cut_id] = draft.numbered(bill_no)
            await self._bills.insert_many(documents, session=session)
            return issued

        return await in_transaction(self._client, insert)

    async def _refusal(self, violation: Mapping[str, Any]) -> Refusal:
        (field, value), *_ = violation["keyValue"].items()
        holder = await self._bills.find_one({field: value}, {"bill_no": 1, "cut_id": 1})
        bill = f"bill {holder['bill_no']} ({holder['_id']})" if holder else "another bill of the same batch"
        if field == "lines.charge_id":
            # Somebody must look: returned, the charge would park every later bill of its account.
            return Refusal(f"charge {value} stands on {bill} already; find out which of the two cuts is wrong", is_final=False)
        if field == "bill_no":
            return Refusal(
                f"number {value} was given to {bill} already: the counter in `numbers` is behind; set it to the highest number given"
            )
        return Refusal(f"{bill} was issued for the same account, period and kind; what came later goes on the next one", is_final=True)


def _with_decimal128(value: Any) -> Any:
    # The driver would do it too, but while the counter is locked, and it is most of the work of an insert.
    if isinstance(value, Decimal):
        return decimal128(value)
    if isinstance(value, dict):
        return {key: _with_decimal128(element) for key, element in value.items()}
    return [_with_decimal128(element) for element in value] if isinstance(value, list | tuple) else value


def _as_issued(bill: BillIssued) -> BillIssued:
    """The bill as it was first told, whatever became of it since: a repeated cut repeats the answer."""
    first = {"state": BillState.NEW, "held_from": None, "remaining_amount": bill.amount_due, "last_update_at": bill.bill_date}
    return bill.model_copy(update=first)


def state_answer_document(answer: StateAnswer) -> dict[str, Any]:
    """An answer as `state_answers` keeps it: of a bill that moved, only what moved."""
    if isinstance(answer, BillStateRefused):
        return to_document(answer)
    moved = {field: getattr(answer.bill, field) for field in MOVING_FIELDS}
    return {"_id": answer.id, "bill_id": answer.bill.id, "account_id": answer.account_id, "from_state": answer.from_state, "moved": moved}


def _remembered_answer(remembered: dict[str, Any], bill: dict[str, Any] | None) -> StateAnswer:
    if "moved" not in remembered:
        return from_document(BillStateRefused, remembered)
    then = from_document(BillIssued, {**(bill or {}), **remembered["moved"]})
    return from_document(BillStateChanged, {**remembered, "request_id": remembered["_id"], "bill": then})
