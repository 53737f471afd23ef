"""invoicing alone on real Kafka and MongoDB: how closed charges become numbered bills, and what becomes of those."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal

import pytest

from libs.contracts import AccountParked, BillIssued, BillSkipped, BillState, BillStateChanged, BillStateRefused, Fact
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import LagReader, lag_reader
from tests.closings import asks, closed, line, on_demand
from tests.outcomes import account
from tests.world import build_service, read_facts

WAIT_S = 30.0


@dataclass(frozen=True)
class Desk:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def bills(self) -> list[BillIssued]:
        return await read_facts(self.service.settings, BillIssued)

    async def parked(self) -> list[AccountParked]:
        return await read_facts(self.service.settings, AccountParked)

    async def changed(self) -> list[BillStateChanged]:
        return await read_facts(self.service.settings, BillStateChanged)

    async def refused(self) -> list[BillStateRefused]:
        return await read_facts(self.service.settings, BillStateRefused)

    async def numbers(self) -> list[str]:
        return [bill["bill_no"] async for bill in self.service.database["bills"].find().sort("bill_no", 1)]

    async def bill(self, bill_id: str) -> dict:
        bill = await self.service.database["bills"].find_one({"_id": bill_id})
        assert bill is not None, f"no bill {bill_id}"
        return bill


@pytest.fixture
async def desk(settings: RuntimeSettings) -> AsyncIterator[Desk]:
    service = build_service("invoicing", settings, account_wait_s=0.3)
    async with service.running(), lag_reader(settings) as lag:
        yield Desk(service, lag)


def numbers_of(year: int, count: int) -> list[str]:
    return [f"{year}-{number:08d}" for number in range(1, count + 1)]


async def test_closed_charges_become_a_bill_with_a_number(desk: Desk):
    await desk.tell(account("ada"))
    await desk.tell(closed("ada", "10.00", "0.50"))
    (bill,) = await desk.bills()
    assert (bill.id, bill.bill_no, bill.state) == ("ada.2026-03-01.onCycle", "2026-00000001", BillState.NEW)
    assert (bill.tax_excluded_amount, bill.tax_included_amount) == (Decimal("10.50"), Decimal("12.71"))
    stored = await desk.bill(bill.id)
    assert stored["lines"][0]["charge_id"] == "run|ada|0"
    assert stored["tax_included_amount"] == Decimal("12.71")
