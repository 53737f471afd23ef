"""Prices that count the month, split calls and allowances: from usage through bills to the ledger, and all of it audited."""

from datetime import UTC, datetime
from decimal import Decimal

from libs.audit import audit
from libs.cli.books_in_force import books_in_force
from libs.contracts import BillIssued, TariffPublished
from libs.devstack.settings import PROJECT_ROOT
from tests.world import AUDITED_AT, Customer, World, amounts

TARIFF = """id: months
effective_from: 2026-01-01
currency: USD
time_bands:
  day: {hours: 08:00-18:00}
  evening: {hours: 18:00-08:00}
offerings:
  months:
    crossing: split
    allowances:
      - {id: minutes, description: Free minutes, amount: 10 min, covers: {usage_types: voice}}
    usage_prices:
      - {id: day, description: By day, match: {usage_type: voice, time_band: day}, price: {amount: 0.12, per: 1 min}}
      - {id: evening, description: In the evening, match: {usage_type: voice, time_band: evening}, price: {amount: 0.06, per: 1 min}}
      - id: texts
        description: Texts
        match: {usage_type: sms}
        graduated: [{up_to: 10 message, price: {amount: 0.10, per: 1 message}}, {price: {amount: 0.05, per: 1 message}}]
"""


async def texts(customer: Customer, count: int, at: str) -> None:
    await customer.world.publish(customer.usage(at=at, seconds=count, usage_type="sms", unit="message"))
    await customer.world.settle()


async def test_a_month_of_tiers_split_calls_and_free_minutes_is_billed_once_however_often_it_is_cut(world: World) -> None:
    await world.publish(TariffPublished.of("months", TARIFF, datetime(2026, 1, 1, tzinfo=UTC)))
    await world.settle()
    ada = await world.customer("Ada", offering="months")
    await texts(ada, 8, "2026-03-02 10:00")
    # An hour from half past five on: ten minutes of it are free, the others are paid by day and in the evening.
    await ada.calls(at="2026-03-02 17:30", seconds=3600)
    await world.settle()
    assert sorted(amounts(await ada.rates())) == [Decimal("0.80"), Decimal("1.80"), Decimal("2.40")]
    await ada.bill_on_demand()
    await texts(ada, 8, "2026-03-20 10:00")
    assert sorted(amounts(await ada.rates(isBilled="false"))) == [Decimal("0.50")]
    await world.bill_run("2026-03")
    await texts(ada, 4, "2026-03-31 10:00")
    await world.bill_run("2026-04")

    bills = sorted(await world.facts(BillIssued, ada.account_id), key=lambda bill: bill.bill_no)
    assert [[f"{line.price_id} {line.amount}" for line in bill.lines] for bill in bills] == [
        ["day 2.40", "evening 1.80", "texts 0.80"],
        ["texts 0.50"],
        ["texts 0.20"],
    ]
    books = await books_in_force(world.settings, PROJECT_ROOT / "deploy" / "rate-books")
    findings = await audit(world.settings, books, lambda subject: None, as_of=AUDITED_AT)
    assert findings.differences == []
    assert findings.checked["buckets"] == 1
