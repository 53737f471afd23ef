"""Boundaries that nothing else notices when they are moved by one."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.periods import calendar_month
from libs.pricing import PricedUsage, RateBooks
from libs.pricing.allowance_sources import Holder, find_sources
from libs.pricing.compiled_price import _rounded_up
from libs.pricing.price_table import _once_if_constant
from libs.pricing.specificity import Specificity
from services.rating.domain.cuts import Closing
from services.rating.domain.fees.fee_corrections import _was_cut
from services.rating.domain.fees.product_fee import product_fees
from services.rating.domain.months import label_of
from tests.books import read_book
from tests.cycles import Cycles
from tests.drawing_world import book as drawing_book
from tests.drawing_world import usage
from tests.unit.test_allowances import CALLS
from tests.unit.test_recurring_cuts import ACCOUNT, ZONE, book, product


def test_a_newcomer_pays_for_the_month_that_began_exactly_a_leap_year_ago_and_for_none_before():
    cycles = Cycles(RateBooks([book(small="period: month, charged: arrears")]), ACCOUNT)
    for label in ("2027-02", "2027-03", "2027-04"):
        cycles.decide(calendar_month(label, ZONE), [])
    closing = cycles.decide(calendar_month("2028-03", ZONE), [product(started="2027-01-01 00:00")])
    assert isinstance(closing, Closing)
    paid = {charge.period.start for charge in closing.made}
    months = (*(f"2027-{month:02}" for month in range(3, 13)), "2028-01", "2028-02", "2028-03")
    assert paid == {calendar_month(label, ZONE).start for label in months}


@pytest.mark.parametrize(("steps", "charged"), [(1, 60), (59, 60), (60, 60), (61, 66), (66, 66), (67, 72)])
def test_a_first_block_is_charged_until_it_is_full(steps: int, charged: int):
    assert _rounded_up(steps, 60, 6) == charged


def test_prices_of_a_week_are_kept_once_where_all_are_the_same():
    one, other = object(), object()
    assert _once_if_constant((one, one, one)) == (one,)  # type: ignore[arg-type]
    assert _once_if_constant((one, one, other)) == (one, one, other)  # type: ignore[arg-type]
    assert _once_if_constant((other, one, one)) == (other, one, one)  # type: ignore[arg-type]
    assert _once_if_constant((one,)) == (one,)  # type: ignore[arg-type]


@pytest.mark.parametrize(("since", "grants"), [("2026-03-09T22:59:59.999", 1), ("2026-03-09T23:00", 0), ("2026-03-09T23:00:00.001", 0)])
def test_a_grant_that_would_expire_at_the_moment_it_is_made_is_none_and_limits_no_sources(since: str, grants: int):
    text = drawing_book("- {id: minutes, description: Minutes, amount: 100 min, expires: 2026-03-10}", CALLS)
    offering = read_book(text, "book.yaml").offerings["basic"]
    answer = RateBooks([read_book(text, "book.yaml")]).price_usage("basic", usage("a", 60), time_zone=ZONE, currency="EUR")
    assert isinstance(answer, PricedUsage)
    held_since = datetime.fromisoformat(since).replace(tzinfo=UTC)
    holder = Holder(held_since, ZONE, lambda *_: offering.allowances[0], lambda *_: "bucket")
    at = held_since + timedelta(days=5)
    sources = find_sources(offering.allowances, answer.price, holder, at)
    march = calendar_month("2026-03", ZONE)
    expiry = datetime(2026, 3, 9, 23, tzinfo=UTC)
    assert (sources.all, sources.start) == ((), expiry if grants else march.start)


@pytest.mark.parametrize(("charged", "cut_in"), [("arrears", {"2026-03"}), ("advance", {"2026-02", "2026-03"})])
def test_a_cut_of_the_first_and_of_the_last_month_that_may_charge_a_fee_counts_and_none_beside_them(charged: str, cut_in: set[str]):
    march = calendar_month("2026-03", ZONE)
    books = RateBooks([book(small=f"period: month, charged: {charged}")])
    (fee,) = product_fees(ACCOUNT, product(started="2025-01-01 00:00"), books, march.start, march.end)
    months = [f"2026-{month:02}" for month in range(1, 6)]
    labels = {month: label_of(calendar_month(month, ZONE), ZONE) for month in months}
    assert {month for month in months if _was_cut(fee, {labels[month]}, ZONE)} == cut_in


@pytest.mark.parametrize(
    ("one", "other", "lead"),
    [
        ((2, 0, 0, False), (1, 5, 9, True), "it names 2 characteristics, not 1"),
        ((1, 5, 0, False), (1, 3, 9, True), "5 digits of its visited network match, not 3"),
        ((1, 5, 9, False), (1, 5, 4, True), "9 characters of the called number match, not 4"),
        ((1, 5, 9, True), (1, 5, 9, False), "it is for a time band, the other for any time"),
    ],
)
def test_the_lead_of_a_price_is_told_by_the_first_thing_in_which_they_differ(one: tuple, other: tuple, lead: str):
    assert Specificity(*one) > Specificity(*other)
    assert Specificity(*one).lead_over(Specificity(*other)) == lead
