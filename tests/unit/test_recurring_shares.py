"""What part of a period is due: tables of every choice, and that the parts of a period add up to it."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.periods import time_zone
from libs.pricing import RateBooks, RecurringPrice, parse_rate_book
from libs.pricing.recurring import correction, fee_of
from libs.pricing.recurring_period import FeePeriod, fee_periods
from libs.pricing.recurring_price import Boundary
from libs.pricing.recurring_share import Share, Subscription, share_of
from libs.pricing.time_weighted import time_weighted_quantity

MADRID = "Europe/Madrid"
MARCH = FeePeriod(date(2026, 3, 1), date(2026, 4, 1))
FEBRUARY = FeePeriod(date(2026, 2, 1), date(2026, 3, 1))
BOOK = """
id: fees
effective_from: 2020-01-01
currency: EUR
offerings:
  basic:
    recurring_prices:
      - {id: fee, description: Fee, amount: 1, TERMS}
"""


def price(terms: str = "period: month") -> RecurringPrice:
    books = RateBooks([parse_rate_book(BOOK.replace("TERMS", terms), "fees.yaml")])
    (found,) = books.recurring_prices("basic", datetime(2026, 1, 1, tzinfo=UTC), None, "UTC")
    return found


def local(text: str, zone: str = MADRID) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=time_zone(zone)).astimezone(UTC)


def held(start: str, end: str | None = None, zone: str = MADRID, **more: object) -> Subscription:
    began = local(start, zone)
    return Subscription(began, began, local(end, zone) if end else None, **more)  # type: ignore[arg-type]


def fraction(share: Share | None) -> Fraction:
    return share.fraction if share else Fraction(0)


@pytest.mark.parametrize(
    ("proration", "start", "end", "expected", "told"),
    [
        ("by_day", "2026-01-10T12:00", None, "1", ""),
        ("by_day", "2026-03-01T23:59", "2026-03-31T00:01", "1", ""),
        # The day of a start and of an end count whole.
        ("by_day", "2026-03-10T23:59", None, "22/31", "22 of 31 days"),
        ("by_day", "2026-03-10T00:00", "2026-03-10T00:01", "1/31", "1 of 31 days"),
        ("by_day", "2026-03-10T12:00", "2026-03-20T12:00", "11/31", "11 of 31 days"),
        # An end at midnight is that of the day before.
        ("by_day", "2026-01-10T12:00", "2026-03-15T00:00", "14/31", "14 of 31 days"),
        ("none", "2026-03-31T23:59", None, "1", ""),
        ("none", "2026-01-10T12:00", "2026-03-01T00:01", "1", ""),
        ("{start: none}", "2026-03-10T12:00", "2026-03-28T12:00", "28/31", "28 of 31 days"),
        ("{end: none}", "2026-03-10T12:00", "2026-03-28T12:00", "22/31", "22 of 31 days"),
        # Thirtieths are counted back from the end, whatever the month's length.
        ("fixed_30", "2026-03-24T12:00", None, "8/30", "8 of 30 days"),
        ("fixed_30", "2026-03-02T12:00", None, "1", ""),
        ("fixed_30", "2026-01-10T12:00", "2026-03-23T12:00", "22/30", "22 of 30 days"),
        ("by_second", "2026-03-31T12:00", None, "43200/2674800", "43200 of 2674800 s"),
        ("by_second", "2026-01-10T12:00", "2026-03-01T00:00:01", "1/2674800", "1 of 2674800 s"),
        ("{start: by_second, end: by_day}", "2026-03-31T12:00", None, "43200/2674800", "43200 of 2674800 s"),
        ("{start: by_second}", "2026-03-16T00:00", "2026-03-30T12:00", "1381199/2764261", "part of a period"),
    ],
)
def test_a_part_of_march_costs(proration: str, start: str, end: str | None, expected: str, told: str) -> None:
    share = share_of(price(f"period: month, proration: {proration}"), held(start, end), MARCH, MADRID)
    assert share is not None
    if told == "part of a period":
        # Sixteen days by their seconds, of which the clocks took an hour, less one by the day.
        assert (share.fraction, share.told) == (Fraction(16 * 86_400 - 3_600, 31 * 86_400 - 3_600) - Fraction(1, 31), told)
    else:
        assert (share.fraction, share.told) == (Fraction(expected), told)


@pytest.mark.parametrize(("start", "expected"), [("2026-02-01T12:00", "1"), ("2026-02-02T12:00", "27/30"), ("2026-02-28T12:00", "1/30")])
def test_thirtieths_of_a_short_month_leave_the_rest_to_its_first_day(start: str, expected: str) -> None:
    assert fraction(share_of(price("period: month, proration: fixed_30"), held(start), FEBRUARY, MADRID)) == Fraction(expected)


@pytest.mark.parametrize(
    ("proration", "former", "later"),
    [("by_day", "9/31", "22/31"), ("fixed_30", "8/30", "22/30"), ("none", "1", "0"), ("by_second", "820800/2674800", "1854000/2674800")],
)
def test_a_change_on_a_day_leaves_it_to_what_comes_after(proration: str, former: str, later: str) -> None:
    fee = price(f"period: month, proration: {{change: {proration}}}")
    ended = held("2026-01-10", "2026-03-10T12:00", ended_by=Boundary.CHANGE)
    begun = held("2026-03-10T12:00", started_by=Boundary.CHANGE)
    assert fraction(share_of(fee, ended, MARCH, MADRID)) == Fraction(former)
    assert fraction(share_of(fee, begun, MARCH, MADRID)) == Fraction(later)


@pytest.mark.parametrize(
    ("choice", "suspended", "expected", "told"),
    [
        ("charged", [("2026-03-10", "2026-03-20")], "1", ""),
        ("free", [("2026-03-10T12:00", "2026-03-20T12:00")], "21/31", "31 of 31 days, 10 suspended"),
        ("free", [("2026-03-10", None)], "9/31", "31 of 31 days, 22 suspended"),
        ("free", [("2026-02-01", "2026-03-02"), ("2026-03-30", "2026-04-02")], "28/31", "31 of 31 days, 3 suspended"),
        ("free", [("2026-02-01", "2026-05-02")], "0", None),
        ("free", [("2026-03-05T08:00", "2026-03-05T20:00")], "1", ""),
        ("25%", [("2026-03-10", "2026-03-20")], "47/62", "31 of 31 days, 10 suspended"),
        ("0.5%", [("2026-02-01", None)], "1/200", "31 of 31 days, 31 suspended"),
    ],
)
def test_a_suspension_costs_what_the_price_says(choice: str, suspended: list, expected: str, told: str | None) -> None:
    subscription = held("2026-01-10", suspensions=tuple((local(start), local(end) if end else None) for start, end in suspended))
    share = share_of(price(f"period: month, while_suspended: {choice}"), subscription, MARCH, MADRID)
    assert (fraction(share), share.told if share else None) == (Fraction(expected), told)


@pytest.mark.parametrize(
    ("terms", "started", "ended", "suspended"),
    [
        # By thirtieths more of the year remains at its seventh day than by days at its sixth.
        ("year, proration: {start: by_day, change: fixed_30}", "2026-01-06", None, ("2026-01-07", None)),
        # And less of February at its tenth day than by days at the end of it.
        ("month, proration: {end: by_day, change: fixed_30}", "2026-02-01", "2026-02-10T12:00", ("2026-02-01", "2026-02-10")),
    ],
)
def test_a_suspension_takes_off_no_more_than_was_due(
    terms: str, started: str, ended: str | None, suspended: tuple[str, str | None]
) -> None:
    begins, ends = suspended
    fee = price(f"period: {terms}, while_suspended: free")
    subscription = held(started, ended, suspensions=((local(begins), local(ends) if ends else None),))
    assert share_of(fee, subscription, period_of(fee, local(started), MADRID), MADRID) is None


def test_a_suspension_counts_only_while_the_product_lasts() -> None:
    suspensions = ((local("2026-03-05"), local("2026-03-12")), (local("2026-03-20"), None))
    share = share_of(
        price("period: month, while_suspended: free"), held("2026-03-10T09:00", "2026-03-24T09:00", suspensions=suspensions), MARCH, MADRID
    )
    assert (fraction(share), share.told if share else "") == (Fraction(15 - 2 - 5, 31), "15 of 31 days, 7 suspended")


@pytest.mark.parametrize(("choice", "began", "expected"), [("none", "2026-03-10", "1"), ("none", "2026-02-10", "0")])
def test_without_proration_a_period_stays_what_it_began_as(choice: str, began: str, expected: str) -> None:
    subscription = held("2026-01-10", suspensions=((local(began), local("2026-03-20")),))
    fee = price(f"period: month, while_suspended: free, proration: {{change: {choice}}}")
    assert fraction(share_of(fee, subscription, MARCH, MADRID)) == Fraction(expected)


@pytest.mark.parametrize(
    ("terms", "start", "expected"),
    [
        ("for_first: 2 months", "2026-01-31T12:00", "30/31"),
        ("after: 2 months", "2026-01-31T12:00", "1/31"),
        ("for_first: 60 days", "2026-01-10T12:00", "10/31"),
        ("after: 1 month, for_first: 2 months", "2026-02-10T12:00", "22/31"),
        ("for_first: 1 month", "2026-01-31T12:00", "0"),
        ("for_first: 2 months, proration: {change: none}", "2026-01-31T12:00", "1"),
        ("after: 2 months, proration: {change: none}", "2026-01-31T12:00", "0"),
    ],
)
def test_a_price_may_hold_for_a_time_only(terms: str, start: str, expected: str) -> None:
    assert fraction(share_of(price(f"period: month, {terms}"), held(start), MARCH, MADRID)) == Fraction(expected)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Madrid", "2026-03-29"),
        ("Europe/Madrid", "2026-10-25"),
        ("America/Santiago", "2026-09-06"),
        ("America/Santiago", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-04"),
        ("Australia/Lord_Howe", "2026-04-05"),
    ],
)
def test_a_day_on_which_the_clocks_change_is_a_day(zone: str, day: str) -> None:
    begun = date.fromisoformat(day)
    (period,) = fee_periods(price(), begun, begun, begun + timedelta(days=1))
    share = share_of(price(), held(f"{day}T01:30", f"{day}T23:30", zone), period, zone)
    assert fraction(share) == Fraction(1, period.days)
    assert share is not None
    assert (share.period.start, share.period.end) == (local(day, zone), local(f"{begun + timedelta(days=1)}", zone))


def test_what_is_credited_is_at_most_what_is_left_of_the_charge() -> None:
    assert correction(Fraction(30), Fraction(12)) == -18
    assert correction(Fraction(30), Fraction(12), Fraction(-20)) == -10
    assert correction(Fraction(30), Fraction(31)) == 1


def test_a_quantity_that_changes_back_within_a_day_counts_not_at_all() -> None:
    changes = [(local("2026-03-10T08:00"), 500), (local("2026-03-10T20:00"), -500), (local("2026-04-02"), 7), (local("2026-02-01"), 31)]
    assert time_weighted_quantity(10, changes, MARCH, MADRID) == 10 + 31


zones = st.sampled_from(["Europe/Madrid", "America/Santiago", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Havana"])
instants = st.datetimes(datetime.fromisoformat("2024-01-01"), datetime.fromisoformat("2027-01-01"), timezones=st.just(UTC)).map(
    lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)
)
by_day = st.sampled_from(["month", "quarter", "year", "week", "day", "month, anchor: 31", "2 months, anchor: activation"])
every_proration = st.sampled_from(["none", "by_day", "fixed_30", "by_second"])
months = st.sampled_from(["month", "quarter", "year", "month, anchor: 31", "2 months, anchor: activation"])


def period_of(fee: RecurringPrice, at: datetime, zone: str) -> FeePeriod:
    on = at.astimezone(time_zone(zone)).date()
    (period,) = fee_periods(fee, on, on, on + timedelta(days=1))
    return period


def parts(fee: RecurringPrice, changes: list[datetime], period: FeePeriod, zone: str) -> list[Fraction]:
    """A product that changes its offering again and again, always for one of the same price."""
    edges = [period.lived(zone).start, *changes, None]
    return [
        fraction(share_of(fee, Subscription(start, start, end, Boundary.CHANGE, Boundary.CHANGE), period, zone))
        for start, end in pairwise(edges)
        if start is not None
    ]


@given(months, every_proration, zones, st.lists(instants, min_size=1, max_size=6).map(sorted))
def test_the_parts_between_changes_add_up_to_the_period(terms: str, proration: str, zone: str, changes: list[datetime]) -> None:
    fee = price(f"period: {terms}, proration: {proration}")
    period = period_of(fee, changes[0], zone)
    assert sum(parts(fee, changes, period, zone)) == 1


@given(by_day, zones, instants, st.data())
def test_two_parts_of_a_period_by_day_are_as_many_days(terms: str, zone: str, at: datetime, data: st.DataObject) -> None:
    """One product ends on a day, another begins on the next: together they pay one period."""
    fee = price(f"period: {terms}")
    period = period_of(fee, at, zone)
    first_days = data.draw(st.integers(0, period.days))
    middle = FeePeriod(period.first, period.first + timedelta(days=first_days))
    if middle.days in (0, period.days):
        return
    activated = period.lived(zone).start
    ended = share_of(fee, Subscription(activated, activated, middle.lived(zone).end), period, zone)
    begun = share_of(fee, Subscription(activated, middle.lived(zone).end), period, zone)
    assert fraction(ended) == Fraction(middle.days, period.days)
    assert fraction(ended) + fraction(begun) == 1


mixed_prorations = st.tuples(every_proration, every_proration, every_proration).map("{{start: {0[0]}, end: {0[1]}, change: {0[2]}}}".format)


@given(
    st.sampled_from(["month", "quarter", "year"]),
    mixed_prorations,
    zones,
    st.lists(instants, min_size=2, max_size=2).map(sorted),
    st.lists(instants, max_size=6, unique=True),
)
def test_a_share_lies_between_nothing_and_the_whole(
    terms: str, proration: str, zone: str, life: list[datetime], changes: list[datetime]
) -> None:
    fee = price(f"period: {terms}, proration: {proration}, while_suspended: free")
    edges = sorted(changes)
    suspensions = tuple((start, end) for start, end in zip(edges[::2], [*edges[1::2], None], strict=False))
    start, end = life
    if start == end:
        return
    subscription = Subscription(start, start, end, suspensions=suspensions)
    period = period_of(fee, start, zone)
    suspended = fraction(share_of(fee, subscription, period, zone))
    assert 0 <= suspended <= fraction(share_of(fee, Subscription(start, start, end), period, zone)) <= 1


@given(zones, instants, instants)
def test_a_longer_life_never_costs_less(zone: str, one: datetime, other: datetime) -> None:
    fee = price()
    start = min(one, other) - timedelta(days=3)
    period = period_of(fee, max(one, other), zone)
    shares = [fee_of(fee, Subscription(start, start, end), period, zone) for end in sorted((one, other))]
    shorter, longer = (found.exact if found else Fraction(0) for found in shares)
    assert shorter <= longer
