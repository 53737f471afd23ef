"""Which periods a fee has: lengths, anchors, short months, leap years, and clocks that change."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.periods import Period
from libs.pricing.calendar_length import UNITS, CalendarLength, parse_length
from libs.pricing.recurring_period import FeePeriod, fee_periods
from libs.pricing.recurring_price import ACTIVATION, CALENDAR, Anchor, RecurringPrice


def price(period: str, anchor: Anchor = CALENDAR) -> RecurringPrice:
    return RecurringPrice("fee", "Fee", Decimal(1), "EUR", parse_length(period), None, "book", anchor=anchor)


def day(text: str) -> date:
    return date.fromisoformat(text)


def starts(fee: RecurringPrice, activated_on: str, first: str, beyond: str) -> list[str]:
    return [str(period.first) for period in fee_periods(fee, day(activated_on), day(first), day(beyond))]


@pytest.mark.parametrize(
    ("period", "anchor", "activated_on", "first", "beyond", "expected"),
    [
        ("day", CALENDAR, "2026-01-01", "2028-02-28", "2028-03-02", "2028-02-28 2028-02-29 2028-03-01"),
        # Weeks begin on Mondays, also over a year's end.
        ("week", CALENDAR, "2026-01-01", "2026-12-27", "2027-01-05", "2026-12-21 2026-12-28 2027-01-04"),
        ("week", ACTIVATION, "2026-03-05", "2026-03-05", "2026-03-20", "2026-03-05 2026-03-12 2026-03-19"),
        ("28 days", ACTIVATION, "2026-01-31", "2026-01-31", "2026-03-29", "2026-01-31 2026-02-28 2026-03-28"),
        ("month", CALENDAR, "2026-01-20", "2026-01-20", "2026-03-01", "2026-01-01 2026-02-01"),
        # A 31st falls on the last day of shorter months, and comes back.
        ("month", Anchor(day=31), "2026-01-05", "2027-12-31", "2028-05-01", "2027-12-31 2028-01-31 2028-02-29 2028-03-31 2028-04-30"),
        ("month", Anchor(day=30), "2026-01-05", "2026-02-27", "2026-04-01", "2026-01-30 2026-02-28 2026-03-30"),
        ("month", Anchor(day=15), "2026-01-05", "2026-02-14", "2026-02-16", "2026-01-15 2026-02-15"),
        ("month", ACTIVATION, "2026-01-31", "2026-01-31", "2026-05-01", "2026-01-31 2026-02-28 2026-03-31 2026-04-30"),
        ("3 months", ACTIVATION, "2025-11-30", "2025-11-30", "2026-09-01", "2025-11-30 2026-02-28 2026-05-30 2026-08-30"),
        ("quarter", CALENDAR, "2026-01-05", "2026-03-31", "2026-07-02", "2026-01-01 2026-04-01 2026-07-01"),
        ("quarter", Anchor(day=15), "2026-01-05", "2024-04-14", "2024-07-15", "2024-01-15 2024-04-15"),
        ("6 months", CALENDAR, "2026-01-05", "2026-06-30", "2027-01-02", "2026-01-01 2026-07-01 2027-01-01"),
        ("year", CALENDAR, "2026-01-05", "2026-12-31", "2027-01-02", "2026-01-01 2027-01-01"),
        # A 29 February is every year's: the 28th where there is none.
        ("year", ACTIVATION, "2024-02-29", "2025-02-27", "2028-03-01", "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        ("2 years", ACTIVATION, "2024-02-29", "2024-02-29", "2028-03-01", "2024-02-29 2026-02-28 2028-02-29"),
    ],
)
def test_a_fee_has_these_periods(period: str, anchor: Anchor, activated_on: str, first: str, beyond: str, expected: str) -> None:
    assert starts(price(period, anchor), activated_on, first, beyond) == expected.split()


@pytest.mark.parametrize(
    ("zone", "first", "beyond", "lived"),
    [
        ("Europe/Madrid", "2026-03-29", "2026-03-30", timedelta(hours=23)),
        ("Europe/Madrid", "2026-10-25", "2026-10-26", timedelta(hours=25)),
        ("America/Santiago", "2026-09-06", "2026-09-07", timedelta(hours=23)),
        ("America/Santiago", "2026-04-04", "2026-04-05", timedelta(hours=25)),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-05", timedelta(hours=23, minutes=30)),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-06", timedelta(hours=24, minutes=30)),
        # Samoa had no 30 December.
        ("Pacific/Apia", "2011-12-29", "2011-12-31", timedelta(hours=24)),
    ],
)
def test_days_are_as_long_as_they_are_lived(zone: str, first: str, beyond: str, lived: timedelta) -> None:
    period = FeePeriod(day(first), day(beyond)).lived(zone)
    assert period.end - period.start == lived


def test_a_period_begins_at_local_midnight() -> None:
    assert FeePeriod(day("2026-03-01"), day("2026-04-01")).lived("America/New_York") == Period(
        start=datetime(2026, 3, 1, 5, tzinfo=UTC), end=datetime(2026, 4, 1, 4, tzinfo=UTC)
    )


days = st.dates(date(1990, 1, 1), date(2060, 1, 1))
lengths = st.builds(CalendarLength, st.integers(1, 10), st.sampled_from(sorted(UNITS)))
month_lengths = st.sampled_from(["month", "2 months", "quarter", "4 months", "6 months", "year"])
prices = st.one_of(
    lengths.map(lambda length: price(str(length), ACTIVATION)),
    st.sampled_from(["day", "week", "month", "2 months", "quarter", "4 months", "6 months", "year"]).map(price),
    st.builds(lambda length, anchor: price(length, Anchor(day=anchor)), month_lengths, st.integers(1, 31)),
)


@given(prices, days, st.tuples(days, days).map(sorted))
def test_periods_follow_each_other_and_hold_every_day_once(fee: RecurringPrice, activated_on: date, span: list[date]) -> None:
    first, beyond = span[0], min(span[1] + timedelta(days=1), span[0] + timedelta(days=800))
    periods = list(fee_periods(fee, activated_on, first, beyond))
    assert periods[0].first <= first < periods[0].beyond
    assert periods[-1].first < beyond <= periods[-1].beyond
    assert all(one.beyond == other.first for one, other in pairwise(periods))


@given(prices, days, days, days)
def test_a_period_is_the_same_wherever_one_begins_to_look(fee: RecurringPrice, activated_on: date, one: date, other: date) -> None:
    (period,) = fee_periods(fee, activated_on, one, one + timedelta(days=1))
    if period.first <= other < period.beyond:
        assert list(fee_periods(fee, activated_on, other, other + timedelta(days=1))) == [period]
    last = period.beyond - timedelta(days=1)
    assert list(fee_periods(fee, activated_on, last, period.beyond)) == [period]


@given(lengths, days)
def test_a_product_s_own_periods_begin_with_its_day(length: CalendarLength, activated_on: date) -> None:
    (period,) = fee_periods(price(str(length), ACTIVATION), activated_on, activated_on, activated_on + timedelta(days=1))
    assert period == FeePeriod(activated_on, length.after(activated_on))


@given(lengths)
def test_a_length_is_read_as_it_is_written(length: CalendarLength) -> None:
    assert parse_length(str(length)) == length
