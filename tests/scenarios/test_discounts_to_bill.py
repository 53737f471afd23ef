"""Discounts, a minimum commitment and prices with tax: from a published rate book through two bills to the ledger."""

from datetime import UTC, datetime
from decimal import Decimal

from libs.audit import audit
from libs.contracts import BillIssued, TariffPublished
from libs.pricing import RateBooks, parse_rate_book
from tests.world import AUDITED_AT, Customer, World

TARIFF = """id: adjusting
effective_from: 2026-01-01
currency: USD
offerings:
  loyal:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}}
    discounts:
      - {id: five, description: Five off, fixed: 5}
      - {id: tenth, description: A tenth off, percent: 10}
      - {id: staff, description: Staff pays half, percent: 50, applied: after_tax}
    minimum_commitment: {id: minimum, description: Minimum, amount: 20}
  gross:
    tax: included
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.121, per: 60 s}}
    discounts: {id: tenth, description: A tenth off, percent: 10}
"""


async def bills_of(world: World, customer: Customer) -> list[BillIssued]:
    return sorted(await world.facts(BillIssued, customer.account_id), key=lambda bill: bill.bill_no)


def lines_of(bill: BillIssued) -> list[str]:
    return [f"{line.price_id} {line.amount}" for line in bill.lines]


async def test_a_month_on_two_bills_gives_its_discounts_once_and_tops_up_what_is_missing(world: World) -> None:
    await world.publish(TariffPublished.of("adjusting", TARIFF, datetime(2026, 1, 1, tzinfo=UTC)))
    await world.settle()
    ada, bob = await world.customer("Ada", offering="loyal"), await world.customer("Bob", offering="gross")
    await ada.calls(at="2026-03-02 10:00", seconds=6000)
    await world.settle()
    await ada.bill_on_demand()
    for customer in (ada, bob):
        await customer.calls(at="2026-03-12 10:00", seconds=6000)
    await world.settle()
    await world.bill_run("2026-03")

    on_demand, on_cycle = await bills_of(world, ada)
    assert lines_of(on_demand) == ["calls 10.00", "five -5.00", "tenth -0.50"]
    assert [str(amount) for amount in (on_demand.tax_excluded_amount, on_demand.tax_included_amount)] == ["4.50", "5.45"]
    assert [str(discount.amount) for discount in on_demand.discounts] == ["-2.73"]
    assert lines_of(on_cycle) == ["calls 10.00", "tenth -1.00", "minimum 6.50"]
    assert [str(amount) for amount in (on_cycle.tax_included_amount, on_cycle.amount_due)] == ["18.76", "9.38"]
    (gross,) = await bills_of(world, bob)
    assert lines_of(gross) == ["calls 10.00", "tenth -1.00"]
    assert (gross.tax_excluded_amount, gross.amount_due) == (Decimal("9.00"), Decimal("10.89"))

    books = RateBooks([parse_rate_book(TARIFF, "adjusting.yaml")])
    findings = await audit(world.settings, books, lambda subject: None, as_of=AUDITED_AT)
    assert findings.differences == []
    assert findings.is_clean
