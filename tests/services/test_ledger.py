"""The ledger alone on real Kafka and MongoDB: bills become entries once, and balances follow from entries."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from libs.contracts import Fact
from libs.periods import Period, calendar_month
from libs.runtime import RuntimeSettings, Service, from_document
from libs.runtime.lag import LagReader, lag_reader
from services.ledger.domain.entry import Entry, post_bill, receivables
from services.ledger.store import LedgerStore
from tests.closings import closed, on_demand
from tests.outcomes import bill_of
from tests.world import WAIT_S, build_service


@dataclass(frozen=True)
class Books:
    """The service, and the hands that feed it."""

    service: Service
    lag: LagReader

    async def tell(self, *facts: Fact) -> None:
        await self.service.publish(facts)
        await self.lag.settled(WAIT_S)

    async def entries(self) -> list[Entry]:
        return [from_document(Entry, entry) async for entry in self.service.database["entries"].find().sort("_id", 1)]

    async def balances(self) -> dict[tuple[str, str], Decimal]:
        found = self.service.database["balances"].find()
        return {(balance["account_id"], balance["currency"]): balance["receivable"] async for balance in found}


@pytest.fixture
async def books(settings: RuntimeSettings) -> AsyncIterator[Books]:
    service = build_service("ledger", settings)
    async with service.running(), lag_reader(settings) as lag:
        yield Books(service, lag)


def month(number: int) -> Period:
    return calendar_month(f"{2020 + number // 12}-{number % 12 + 1:02d}", "Europe/Madrid")


async def test_a_bill_becomes_one_balanced_entry_and_moves_the_balance(books: Books):
    await books.tell(bill_of(closed("ada", "100.00"), "2026-00000001"))
    (entry,) = await books.entries()
    assert entry.id == "bill:ada.2026-03-01.onCycle"
    assert [(posting.ledger_account, posting.tax_category, posting.amount) for posting in entry.postings] == [
        ("receivable", None, Decimal("121.00")),
        ("revenue", None, Decimal("-100.00")),
        ("tax", "standard", Decimal("-21.00")),
    ]
    assert await books.balances() == {("ada", "EUR"): Decimal("121.00")}


async def test_a_repeated_bill_is_posted_once(books: Books):
    bill = bill_of(closed("ada", "100.00"), "2026-00000001")
    await books.tell(bill, bill)
    await books.tell(bill)
    assert len(await books.entries()) == 1
    assert await books.balances() == {("ada", "EUR"): Decimal("121.00")}


async def test_bills_add_up_per_account_and_currency(books: Books):
    await books.tell(
        bill_of(closed("ada", "100.00"), "2026-00000001"),
        bill_of(on_demand("ada", "-10.00", request_id="r1"), "2026-00000002"),
        bill_of(on_demand("ada", "500", request_id="r2", currency="JPY"), "2026-00000003"),
        bill_of(closed("bob", "0.01"), "2026-00000004"),
    )
    assert await books.balances() == {("ada", "EUR"): Decimal("108.90"), ("ada", "JPY"): Decimal(605), ("bob", "EUR"): Decimal("0.01")}


async def test_a_bill_of_zero_is_remembered_and_moves_nothing(books: Books):
    await books.tell(bill_of(closed("ada", "0.00"), "2026-00000001"))
    (entry,) = await books.entries()
    assert entry.postings == ()
    assert await books.balances() == {("ada", "EUR"): Decimal(0)}


async def test_balances_are_those_that_the_entries_recompute(books: Books):
    bills = [
        bill_of(closed(f"a{number % 7}", f"{number}.37", cut_id=f"c{number}", period=month(number)), f"N-{number}") for number in range(60)
    ]
    await books.tell(*bills)
    await books.tell(*bills[::3])
    entries = await books.entries()
    assert len(entries) == 60
    assert receivables(entries) == await books.balances()


async def test_two_instances_given_the_same_bills_at_once_post_each_once(books: Books):
    entries = [post_bill(bill_of(closed(f"a{number}", "1.00"), f"N-{number}")) for number in range(40)]
    stores = [LedgerStore(books.service.client, books.service.database) for _ in range(3)]
    await asyncio.gather(stores[0].add(entries), stores[1].add(entries[10:]), stores[2].add(entries[:30][::-1]))
    assert len(await books.entries()) == 40
    assert receivables(await books.entries()) == await books.balances()


async def test_a_bill_that_does_not_add_up_is_never_posted(books: Books):
    wrong = bill_of(closed("ada", "100.00"), "N-1").model_copy(update={"tax_included_amount": Decimal("121.01")})
    await books.tell(wrong, bill_of(closed("bob", "1.00"), "N-2"))
    assert [entry.account_id for entry in await books.entries()] == ["bob"]
    (parked,) = await books.service.database["parked"].find().to_list()
    assert parked["reason"] == "entry bill:ada.2026-03-01.onCycle is off balance by 0.01 EUR"
