"""Corrections after the bill of a month: what they come to with the discounts and commitments of that month."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from libs.contracts import Charge, PeriodCut, RunType
from libs.money import sum_exactly
from libs.periods import calendar_month
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.cuts import Closing, adjusted_since, decide_cut
from services.rating.domain.fees import ChargedAs
from services.rating.domain.holdings import Account, Product
from tests.accounts_to_cut import Stored
from tests.closings import usage_charge

BOOK = """
id: book
effective_from: 2020-01-01
currency: EUR
offerings:
  basic:
    recurring_prices:
      - {{id: fee, description: Fee, charged: advance, {fee}}}
    {terms}
"""
LINE = Product("line", "ada", "basic", "Line", "active", datetime(2026, 1, 1, tzinfo=UTC))
NO_FEE = "amount: 0, period: month"


class Cuts:
    """Cuts of one account, one after the other, with what was closed."""

    def __init__(self, terms: str, fee: str = NO_FEE) -> None:
        self.books = RateBooks([parse_rate_book(BOOK.format(fee=fee, terms=terms), "book.yaml")])
        self.charges: dict[str, Charge] = {}
        self.cuts: dict[str, int] = {}
        self.met: set[str] = set()
        self.known: dict[str, ChargedAs] = {}

    def cycle(self, month: str, *usage: Charge, product: Product = LINE) -> list[str]:
        period = calendar_month(month, "UTC")
        return self._cut(month, period.end + timedelta(hours=3), usage, product, period=period, run_type=RunType.ON_CYCLE)

    def on_demand(self, at: datetime, *usage: Charge) -> list[str]:
        return self._cut(f"demand-{at}", at, usage, LINE, run_type=RunType.OFF_CYCLE)

    def _cut(self, id: str, at: datetime, usage: tuple[Charge, ...], product: Product, **fields: Any) -> list[str]:
        cut = PeriodCut(id=id, account_id="ada", cause_id=id, requested_at=at, **fields)
        stored = Stored(Account("ada", "EUR", "UTC", dict(self.cuts)), self.charges.values(), self.met, self.known)
        to_cut = replace(stored.to_cut([product], cut, self.books, at), unbilled=usage)
        if adjusted_since(to_cut, cut, self.books, at) is not None:
            to_cut = replace(to_cut, closed_before=list(self.charges.values()))
        closing = decide_cut(to_cut, cut, self.books, at)
        assert isinstance(closing, Closing)
        self.charges |= {charge.id: charge for charge in (*closing.closed, *closing.made)}
        self.cuts |= dict.fromkeys(closing.month_labels, 1)
        self.met |= closing.new_products
        self.known |= {id: known for id, known in closing.charged_as.items() if known is not None}
        return [f"{line.price_id} {line.amount}" for line in closing.answer.lines if line.amount]

    def paid(self) -> Decimal:
        return sum_exactly(charge.amount or Decimal(0) for charge in self.charges.values())


def usage(id: str, cents: int, month: str = "2026-03") -> Charge:
    return usage_charge(id, Fraction(cents, 100), product_id="line", period=calendar_month(month, "UTC"))


@pytest.mark.parametrize(
    ("fee", "ended", "heard", "left"),
    [
        ("amount: 120, period: year", "2026-03-31T12", "2026-03", "14.79"),
        ("amount: 30, period: quarter", "2026-02-14T12", "2026-02", "7.50"),
        # The credit is made after the period of its fee ended, and of a month in which that does not begin.
        ("amount: 31, period: month, anchor: 15", "2026-03-20T12", "2026-04", "41.00"),
    ],
)
def test_a_credit_of_a_discounted_fee_takes_the_discount_back(fee: str, ended: str, heard: str, left: str) -> None:
    cuts = Cuts("discounts: {id: half, description: Half, percent: 50, scope: recurring}", fee)
    gone = replace(LINE, status="terminated", ended_at=datetime.fromisoformat(f"{ended}:00+00:00"))
    for month in ("2026-01", "2026-02", "2026-03", "2026-04"):
        cuts.cycle(month, product=gone if month >= heard else LINE)
    assert cuts.paid() == Decimal(left)


def test_a_credit_takes_back_a_discount_of_the_first_months_as_its_fee_had_it() -> None:
    cuts = Cuts("discounts: {id: half, description: Half, percent: 50, for_first: 1 month}", "amount: 120, period: year")
    cuts.cycle("2026-01")
    gone = replace(LINE, status="terminated", ended_at=datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert cuts.cycle("2026-03", product=gone) == ["fee -90.41", "half 45.20"]


def test_a_fee_in_arrears_that_was_discounted_is_credited_with_its_discount() -> None:
    """In the month of its bill: that of the quarter's end."""
    terms = "discounts: {id: half, description: Half, percent: 50, scope: recurring}"
    cuts = Cuts(terms)
    arrears = BOOK.replace("charged: advance", "charged: arrears").format(fee="amount: 30, period: quarter", terms=terms)
    cuts.books = RateBooks([parse_rate_book(arrears, "book.yaml")])
    assert [cuts.cycle(f"2026-0{number}") for number in (1, 2, 3)] == [[], [], ["fee 30.00", "half -15.00"]]
    assert cuts.cycle("2026-04", product=replace(LINE, status="cancelled")) == ["fee -30.00", "half 15.00"]


@pytest.mark.parametrize("length", ["month", "quarter"])
def test_late_usage_that_is_billed_on_demand_lowers_the_commitment_of_a_month_that_is_over(length: str) -> None:
    cuts = Cuts(f"minimum_commitment: {{id: minimum, description: Minimum, amount: 60, period: {length}}}")
    assert cuts.cycle("2026-03", usage("c1", 2000))[-1] == "minimum 40.00"
    assert cuts.on_demand(datetime(2026, 4, 10, tzinfo=UTC), usage("c2", 3000)) == ["calls 30.00", "minimum -30.00"]


def test_a_commitment_waits_for_the_cycle_of_its_month() -> None:
    cuts = Cuts("minimum_commitment: {id: minimum, description: Minimum, amount: 60}")
    assert cuts.on_demand(datetime(2026, 3, 31, tzinfo=UTC), usage("c0", 500, "2026-02")) == ["calls 5.00"]
    assert cuts.on_demand(datetime(2026, 4, 1, 1, tzinfo=UTC), usage("c1", 2000)) == ["calls 20.00"]
    # January and February were never cut, and are caught up.
    assert cuts.cycle("2026-03") == ["minimum 60.00", "minimum 55.00", "minimum 40.00"]


OTHER = "  other:\n    recurring_prices: [{id: other, description: Other, amount: 0, period: month}]\n"


def test_a_credit_takes_the_discount_back_of_an_offering_that_the_product_never_had() -> None:
    """No offering that it has now is discounted."""
    terms = "discounts: {id: half, description: Half, percent: 50}"
    cuts = Cuts(terms, "amount: 30, period: month")
    cuts.books = RateBooks([parse_rate_book(BOOK.format(fee="amount: 30, period: month", terms=terms) + OTHER, "book.yaml")])
    cuts.cycle("2026-01")
    assert cuts.paid() == Decimal(30), "half of January and of February"
    cuts.cycle("2026-02", product=replace(LINE, offering_id="other"))
    assert cuts.paid() == 0
