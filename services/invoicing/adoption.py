"""Adopting bills: after a restore invoicing takes over the bills that it had issued since, with the legal numbers that they have.

The bills come from `bill.issued`, their states from the answers to requests, and final parkings from `account.parked`. The
counter of each series goes on after the highest number given.
"""

from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import AccountParked, BillIssued, BillStateChanged, BillStateRefused, RunType
from libs.runtime import to_document
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import PublishedReader
from services.invoicing.domain.series import sequence_of
from services.invoicing.store import MOVING_FIELDS, state_answer_document


class BillAdoption:
    """Writes bills, numbers, decisions and state answers as they were published."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._bills = database["bills"]
        self._numbers = database["numbers"]
        self._decisions = database["decisions"]
        self._state_answers = database["state_answers"]

    async def adopt(self, published: PublishedReader, adopted: Adopted) -> None:
        """Take over everything that invoicing decided since the backup."""
        async for issued in published.read(BillIssued):
            await self._adopt_bills([each.fact for each in issued], adopted)
        async for parked in published.read(AccountParked):
            await self._adopt_parkings([each.fact for each in parked if each.fact.is_final], adopted)
        async for changed in published.read(BillStateChanged):
            await self._adopt_changes([each.fact for each in changed], adopted)
        async for refused in published.read(BillStateRefused):
            await self._adopt_refusals([each.fact for each in refused], adopted)

    async def _adopt_bills(self, bills: list[BillIssued], adopted: Adopted) -> None:
        # The counters first: a number that is given twice is worse than one that is not given.
        last: dict[str, int] = {}
        for bill in bills:
            series, sequence = sequence_of(bill.bill_no)
            last[series] = max(last.get(series, 0), sequence)
        raised = [UpdateOne({"_id": series}, {"$max": {"last": number}}, upsert=True) for series, number in last.items()]
        await self._numbers.bulk_write(raised)
        on_demand = [{"_id": bill.cut_id, "bill_id": bill.id} for bill in bills if bill.run_type is RunType.OFF_CYCLE]
        await insert_missing(self._decisions, on_demand, adopted, "bills on demand")
        await insert_missing(self._bills, [to_document(bill) for bill in bills], adopted, "bills")

    async def _adopt_parkings(self, parkings: list[AccountParked], adopted: Adopted) -> None:
        await insert_missing(self._decisions, [to_document(parking) for parking in parkings], adopted, "final parkings")

    async def _adopt_changes(self, changes: list[BillStateChanged], adopted: Adopted) -> None:
        answers = [state_answer_document(change) for change in changes]
        await insert_missing(self._state_answers, answers, adopted, "bill state changes")
        # In order per account, so the last one stands; one that the backup had already passed stays.
        moves = [
            UpdateOne(
                {"_id": change.bill.id, "last_update_at": {"$lte": change.bill.last_update_at}},
                {"$set": {field: getattr(change.bill, field) for field in MOVING_FIELDS}},
            )
            for change in changes
        ]
        if moves:
            await self._bills.bulk_write(moves)

    async def _adopt_refusals(self, refusals: list[BillStateRefused], adopted: Adopted) -> None:
        answers = [state_answer_document(refusal) for refusal in refusals]
        await insert_missing(self._state_answers, answers, adopted, "refused bill states")
