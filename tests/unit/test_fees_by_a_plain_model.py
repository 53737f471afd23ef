"""Recurring fees against a plain model: the first period has the price of the moment of purchase, later ones that of their start.

Whatever zone and clock, whenever books take effect, whichever months were cut and however late the product was heard of.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import ChargeKind, UnchargedFee
from libs.money import sum_fractions
from libs.periods import calendar_month, month_containing
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.cuts import Closing
from services.rating.domain.holdings import Account, Product
from tests.cycles import Cycles
from tests.examples import examples
from tests.fee_contracts import BEGAN, MONTHS, NEVER_BEFORE, PLANS, Contract, contracts, run
from tests.fee_model import Billed, Time, Version, fees_owed


def _billed(
    contract: Contract, months: Iterable[str], heard_in: str = "", billed_from: datetime | None = None
) -> Counter[tuple[str, Fraction]]:
    """What cuts of these months charge."""
    charges = run(contract, months, heard_in, billed_from).charges.values()
    fees = [charge for charge in charges if charge.kind is ChargeKind.RECURRING]
    assert not any(charge.corrected_from for charge in fees), "nothing that was charged is corrected"
    return Counter((charge.offering_id, sum_fractions(charge.sums)) for charge in fees)


@examples(300)
@given(contracts())
def test_every_period_costs_what_the_price_was_at_purchase_or_at_its_start(contract: Contract) -> None:
    assert _billed(contract, MONTHS) == contract.owed()


cut_months = st.sets(st.sampled_from(MONTHS[:-1])).map(lambda months: [*sorted(months), MONTHS[-1]])


@examples(200)
@given(contracts(), cut_months, st.sampled_from(MONTHS))
def test_it_makes_no_difference_which_months_were_run_nor_when_a_contract_was_entered(
    contract: Contract, months: list[str], heard_in: str
) -> None:
    assert _billed(contract, months, heard_in) == contract.owed()


@examples(100)
@given(contracts(), cut_months, st.sampled_from(MONTHS), st.integers(-5, 60))
def test_what_began_before_billing_started_is_never_charged(contract: Contract, months: list[str], heard_in: str, days: int) -> None:
    billed_from = contract.times[0].start + timedelta(days=days, hours=-3)
    assert _billed(contract, months, heard_in, billed_from) == contract.owed(billed_from)


FIRST_DAY = """
id: first-day
effective_from: 2026-04-01
currency: EUR
offerings:
  first-day:
    recurring_prices: [{id: fee, description: Month, amount: 30, period: month}]
    one_time_prices: [{id: setup, description: Set-up, amount: 15.00, charged_at: activation}]
  first-day-year:
    recurring_prices: [{id: fee, description: Year, amount: 365, period: year, anchor: activation, charged: advance}]
"""


@pytest.mark.parametrize(("offering", "months"), [("first-day", [[], [15, 30], [30]]), ("first-day-year", [[], [365], []])])
@pytest.mark.parametrize("zone", ["Europe/Madrid", "UTC", "America/New_York"])
def test_who_buys_on_the_day_of_a_price_but_after_it_pays_that_price(zone: str, offering: str, months: list[list[int]]) -> None:
    """The book begins at two in the morning of Madrid, and the customer at ten."""
    cuts = Cycles(RateBooks([parse_rate_book(FIRST_DAY, "book.yaml")]), Account("ada", "EUR", zone))
    product = Product("p", "ada", offering, "Line", "active", datetime(2026, 4, 1, 8, tzinfo=UTC))
    for month, amounts in zip(("2026-03", "2026-04", "2026-05"), months, strict=True):
        closing = cuts.decide(calendar_month(month, zone), [product])
        assert isinstance(closing, Closing)
        assert sorted(line.amount for line in closing.answer.lines) == amounts


@pytest.mark.parametrize("runs", [["2026-05", "2026-06", "2026-07"], ["2026-07"], ["2026-05", "2026-07"], ["2026-06", "2026-07"]])
@pytest.mark.parametrize("heard_in", ["2026-05", "2026-07"])
def test_a_contract_that_is_entered_late_is_billed_alike_on_old_and_new_accounts(runs: list[str], heard_in: str) -> None:
    """A SIM at 1.00 a month from 10 May: 0.71 for May, and June and July whole."""
    text = "id: sim\neffective_from: 2020-01-01\ncurrency: EUR\nofferings:\n  sim:\n    recurring_prices: "
    books = RateBooks([parse_rate_book(f"{text}[{{id: fee, description: SIM, amount: 1.00, period: month}}]\n", "sim.yaml")])
    cuts = Cycles(books, Account("ada", "EUR", "Europe/Madrid"))
    sim = Product("sim", "ada", "sim", "SIM", "active", datetime(2026, 5, 9, 22, tzinfo=UTC))
    for month in runs:
        assert isinstance(cuts.decide(calendar_month(month, "Europe/Madrid"), [sim] if month >= heard_in else []), Closing)
    assert sorted(charge.amount for charge in cuts.charges.values()) == [Decimal("0.71"), Decimal("1.00"), Decimal("1.00")]


def test_a_start_that_is_corrected_to_before_the_first_run_is_billed_from_then_on() -> None:
    contract = Contract("Europe/Madrid", PLANS[0], (Version(NEVER_BEFORE, {"small": Decimal(31)}),), (Time("small", BEGAN, None, False),))
    cuts = Cycles(contract.books, Account("ada", "EUR", contract.zone))
    later = replace(contract.product, started_at=datetime(2026, 6, 3, tzinfo=UTC))
    for month, product in (("2026-06", later), ("2026-07", contract.product)):
        assert isinstance(cuts.decide(calendar_month(month, contract.zone), [product]), Closing)
    assert sum(sum_fractions(charge.sums) for charge in cuts.charges.values()) == sum(amount for _, amount in contract.owed().elements())


OLD = Contract("Europe/Madrid", PLANS[0], (Version(NEVER_BEFORE, {"small": Decimal(1)}),), (Time("small", NEVER_BEFORE, None, False),))


def test_nothing_older_than_a_year_is_caught_up() -> None:
    assert _billed(OLD, ["2026-07"]) == {("small", Fraction(1)): 13}


def test_what_is_older_is_told_once_by_product_and_price() -> None:
    cuts = Cycles(OLD.books, Account("ada", "EUR", OLD.zone))
    told = [_told(cuts, OLD, month) for month in ("2026-07", "2026-08", "2028-01", "2028-02")]
    since_2020, passed_over = [(fee,) for of_cut in told for fee in of_cut]
    months = [calendar_month(month, OLD.zone) for month in ("2020-01", "2025-06", "2026-09", "2026-12")]
    assert [[(fee.price_id, fee.period_count) for fee in of_cut] for of_cut in told] == [[("fee", 66)], [], [("fee", 4)], []]
    assert [(fees[0].period.start, fees[0].period.end) for fees in (since_2020, passed_over)] == [
        (months[0].start, months[1].end),
        (months[2].start, months[3].end),
    ]


LONG_AFTER = ("2026-04", "2027-09", "2028-11", "2028-12", "2030-02")
some_months = st.sets(st.sampled_from(LONG_AFTER), min_size=1).map(sorted)


@examples(200)
@given(contracts(), some_months, st.sampled_from(LONG_AFTER), st.none() | st.integers(-5, 900))
def test_every_fee_is_charged_or_told(contract: Contract, months: list[str], heard_in: str, billed_after: int | None) -> None:
    billed_from = None if billed_after is None else contract.times[0].start + timedelta(days=billed_after)
    cuts = Cycles(contract.books, Account("ada", "EUR", contract.zone, billed_from=billed_from))
    told_count = sum(fee.period_count for month in months for fee in _told(cuts, contract, month, is_heard=month >= heard_in))
    last = calendar_month(months[-1], contract.zone).end
    until = Billed(last, month_containing(last, contract.zone).end, billed_from)
    owed = fees_owed(contract.plan, contract.versions, contract.times, ZoneInfo(contract.zone), until)
    if months[-1] >= heard_in:
        assert len([charge for charge in cuts.charges.values() if charge.kind is ChargeKind.RECURRING]) + told_count == owed.total()


def _told(cuts: Cycles, contract: Contract, month: str, *, is_heard: bool = True) -> tuple[UnchargedFee, ...]:
    """Return the fees that the cut of a month passes over."""
    closing = cuts.decide(calendar_month(month, contract.zone), [contract.product] if is_heard else [])
    assert isinstance(closing, Closing)
    return closing.answer.fees_not_charged
