"""Time bands on the customer's wall clock: both DST changes north and south, half hours, year ends, bands past midnight."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.pricing import PricedUsage, RateBooks, parse_rate_book
from libs.pricing.local_time import local_minute
from libs.pricing.time_band import DAYS, MINUTES_PER_WEEK, minute_name, parse_days, parse_hours
from tests.examples import examples
from tests.usages import usage_of

BOOK = """
id: hours
effective_from: 0001-01-03
currency: EUR
time_bands:
{bands}
offerings:
  basic:
    usage_prices:
{prices}
"""


def band_at(bands: dict[str, str], at: str | datetime, time_zone: str) -> str | None:
    """The band that prices a call; each band is written as the inside of a YAML flow mapping."""
    text = BOOK.format(
        bands="\n".join(f"  {name}: {{{hours}}}" for name, hours in bands.items()),
        prices="\n".join(
            f"      - {{id: {name}, description: Calls, match: {{usage_type: voice, time_band: {name}}}, price: {{amount: 1, per: 1 s}}}}"
            for name in bands
        ),
    )
    usage = usage_of(id="usage", identifier="ada", usage_type="voice", started_at=at, quantity=Decimal(1), unit="s")
    priced = RateBooks([parse_rate_book(text, "hours.yaml")]).price_usage("basic", usage, time_zone=time_zone, currency="EUR")
    return priced.price_id if isinstance(priced, PricedUsage) else None


# Each minute of the small hours its own band would be too many: quarters of the night tell every change apart.
NIGHT = {
    "before-one": "hours: 00:00-01:00",
    "one": "hours: 01:00-01:30",
    "half-past-one": "hours: 01:30-02:00",
    "two": "hours: 02:00-02:30",
    "half-past-two": "hours: 02:30-03:00",
    "three": "hours: 03:00-04:00",
    "rest": "hours: 04:00-24:00",
}


@pytest.mark.parametrize(
    ("time_zone", "at", "band"),
    [
        # Madrid springs from 02:00 to 03:00 on 29 March 2026 at 01:00 UTC.
        ("Europe/Madrid", "2026-03-29T00:59:59.999Z", "half-past-one"),
        ("Europe/Madrid", "2026-03-29T01:00:00Z", "three"),
        ("Europe/Madrid", "2026-03-29T02:00:00Z", "rest"),
        # It falls back from 03:00 to 02:00 on 25 October 2026 at 01:00 UTC: 02:00 to 03:00 comes twice.
        ("Europe/Madrid", "2026-10-25T00:29:00Z", "two"),
        ("Europe/Madrid", "2026-10-25T00:59:59Z", "half-past-two"),
        ("Europe/Madrid", "2026-10-25T01:00:00Z", "two"),
        ("Europe/Madrid", "2026-10-25T01:59:00Z", "half-past-two"),
        ("Europe/Madrid", "2026-10-25T02:00:00Z", "three"),
        # New York: 8 March 2026 at 07:00 UTC, 1 November 2026 at 06:00 UTC.
        ("America/New_York", "2026-03-08T06:59:00Z", "half-past-one"),
        ("America/New_York", "2026-03-08T07:00:00Z", "three"),
        ("America/New_York", "2026-11-01T05:45:00Z", "half-past-one"),
        ("America/New_York", "2026-11-01T06:00:00Z", "one"),
        # Sydney is southern: back on 5 April 2026 at 16:00 UTC of the 4th, forth on 4 October 2026.
        ("Australia/Sydney", "2026-04-04T15:45:00Z", "half-past-two"),
        ("Australia/Sydney", "2026-04-04T16:00:00Z", "two"),
        ("Australia/Sydney", "2026-10-03T15:59:00Z", "half-past-one"),
        ("Australia/Sydney", "2026-10-03T16:00:00Z", "three"),
        # Santiago changes at midnight, southern too: 5 September 2026 24:00 becomes 01:00 of the 6th.
        ("America/Santiago", "2026-09-06T03:59:00Z", "rest"),
        ("America/Santiago", "2026-09-06T04:00:00Z", "one"),
        # Lord Howe moves by half an hour: 02:00 to 01:30 on 5 April 2026, 02:00 to 02:30 on 4 October 2026.
        ("Australia/Lord_Howe", "2026-04-04T14:59:00Z", "half-past-one"),
        ("Australia/Lord_Howe", "2026-04-04T15:00:00Z", "half-past-one"),
        ("Australia/Lord_Howe", "2026-04-04T15:30:00Z", "two"),
        ("Australia/Lord_Howe", "2026-10-03T15:29:00Z", "half-past-one"),
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z", "half-past-two"),
        # Offsets of quarters of an hour, and zones that never change.
        ("Asia/Kathmandu", "2026-03-01T20:15:00Z", "two"),
        ("Asia/Kolkata", "2026-03-01T20:00:00Z", "half-past-one"),
        ("UTC", "2026-03-01T02:29:59Z", "two"),
    ],
)
def test_a_usage_is_priced_by_the_clock_on_the_wall(time_zone: str, at: str, band: str) -> None:
    assert band_at(NIGHT, at, time_zone) == band


YEAR_END = {"wednesday": "days: wed", "thursday": "days: thu", "friday": "days: fri", "other": "days: sat-tue"}


@pytest.mark.parametrize(
    ("time_zone", "at", "band"),
    [
        # 31 December 2025 is a Wednesday.
        ("UTC", "2025-12-31T23:59:59Z", "wednesday"),
        ("UTC", "2026-01-01T00:00:00Z", "thursday"),
        ("Pacific/Kiritimati", "2025-12-31T09:59:59Z", "wednesday"),
        ("Pacific/Kiritimati", "2025-12-31T10:00:00Z", "thursday"),
        ("Pacific/Pago_Pago", "2026-01-01T10:59:59Z", "wednesday"),
        ("Pacific/Pago_Pago", "2026-01-01T11:00:00Z", "thursday"),
        # Leap day 2024 is a Thursday.
        ("America/New_York", "2024-02-29T05:00:00Z", "thursday"),
        ("America/New_York", "2024-03-01T04:59:59Z", "thursday"),
        ("America/New_York", "2024-03-01T05:00:00Z", "friday"),
        # Apia had no 30 December 2011, a Friday: Thursday was followed by Saturday.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "thursday"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "other"),
    ],
)
def test_days_are_those_of_the_local_calendar(time_zone: str, at: str, band: str) -> None:
    assert band_at(YEAR_END, at, time_zone) == band


@pytest.mark.parametrize(
    ("hours", "at", "inside"),
    [
        ("hours: 22:00-06:00", "2026-03-02T21:59:59Z", False),
        ("hours: 22:00-06:00", "2026-03-02T22:00:00Z", True),
        ("hours: 22:00-06:00", "2026-03-03T05:59:59Z", True),
        ("hours: 22:00-06:00", "2026-03-03T06:00:00Z", False),
        # 6 March 2026 is a Friday: its night ends on Saturday morning, Thursday's is not of it.
        ("hours: 22:00-06:00, days: fri", "2026-03-06T05:00:00Z", False),
        ("hours: 22:00-06:00, days: fri", "2026-03-06T22:00:00Z", True),
        ("hours: 22:00-06:00, days: fri", "2026-03-07T05:00:00Z", True),
        ("hours: 22:00-06:00, days: fri", "2026-03-07T22:00:00Z", False),
        # Sunday's night ends in the next week.
        ("hours: 22:00-06:00, days: sun", "2026-03-09T05:59:00Z", True),
        ("hours: 22:00-06:00, days: sun", "2026-03-09T06:00:00Z", False),
        ("hours: 22:00-24:00", "2026-03-02T23:59:59Z", True),
        ("hours: 22:00-24:00", "2026-03-03T00:00:00Z", False),
        ("hours: 22:00-00:00", "2026-03-02T23:59:59Z", True),
        ("hours: 22:00-00:00", "2026-03-03T00:00:00Z", False),
        ("hours: 00:00-24:00", "2026-03-03T00:00:00Z", True),
        ("days: sat-mon", "2026-03-02T00:00:00Z", True),
        ("days: sat-mon", "2026-03-03T00:00:00Z", False),
        ("days: [mon, wed-thu]", "2026-03-04T00:00:00Z", True),
        ("days: [mon, wed-thu]", "2026-03-03T00:00:00Z", False),
    ],
)
def test_a_band_holds_its_hours_and_days(hours: str, at: str, inside: bool) -> None:
    assert (band_at({"band": hours}, at, "UTC") == "band") is inside


ZONES = sorted(available_timezones())


INSTANTS = st.datetimes(min_value=datetime(1, 1, 4), max_value=datetime(9999, 12, 28), timezones=st.just(UTC))  # noqa: DTZ001 (naive bounds)


@settings(deadline=None)
@given(at=INSTANTS, zone=st.sampled_from(ZONES))
def test_the_remembered_offsets_agree_with_the_time_zone_database(at: datetime, zone: str) -> None:
    local = at.astimezone(ZoneInfo(zone))
    assert minute_name(local_minute(at, zone) % MINUTES_PER_WEEK) == f"{DAYS[local.weekday()].title()} {local.hour:02}:{local.minute:02}"


@settings(deadline=None)
@given(
    year=st.integers(1900, 2037),
    day=st.integers(0, 364),
    second=st.integers(0, 86_399),
    zone=st.sampled_from(
        ["Europe/Amsterdam", "Africa/Monrovia", "Africa/Casablanca", "Antarctica/Troll", "America/Caracas", "Europe/Dublin"]
    ),
)
def test_odd_zones_agree_with_the_time_zone_database(year: int, day: int, second: int, zone: str) -> None:
    at = datetime.fromtimestamp(datetime(year, 1, 1, tzinfo=UTC).timestamp() + day * 86_400 + second, UTC)
    local = at.astimezone(ZoneInfo(zone))
    assert local_minute(at, zone) % MINUTES_PER_WEEK == local.weekday() * 1440 + local.hour * 60 + local.minute


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Madrid", "UTC"])
@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_ends_of_the_calendar_have_a_local_time(at: datetime, zone: str) -> None:
    assert abs(local_minute(at, zone) - local_minute(at, "UTC")) <= 14 * 60


def test_hours_and_days_are_read_as_they_are_said() -> None:
    assert (parse_hours("08:00-18:30").start, parse_hours("08:00-18:30").end) == (480, 1110)
    assert parse_days("Fri-Mon") == {4, 5, 6, 0}
    assert parse_days("sun") == {6}


BAND_PRICE = "      - {id: band, description: Calls, match: {usage_type: voice, time_band: band}, price: {amount: 1, per: 1 s}}"
DATES = st.sets(st.integers(0, 20).map(lambda day: date(2026, 2, 20) + timedelta(days=day)), max_size=4)
PARTS = st.tuples(
    st.sets(st.integers(0, 6), min_size=1),
    st.tuples(st.integers(0, 23), st.integers(1, 24)).filter(lambda hours: hours[0] != hours[1]),
    st.sampled_from(["", "holidays: a", "except_holidays: a", "holidays: b"]),
)


def part_text(part: tuple[set[int], tuple[int, int], str]) -> str:
    days, (start, end), holidays = part
    return f"{{days: [{', '.join(DAYS[day] for day in sorted(days))}], hours: '{start:02}:00-{end:02}:00', {holidays or 'hours-of: all'}}}"


def holds(part: tuple[set[int], tuple[int, int], str], calendars: dict[str, set[date]], local: datetime) -> bool:
    """The slow way to say what a part of a band is: it began today or yesterday, on a day that is right, and is not over yet."""
    days, (start, end), holidays = part
    for begun in (local.date(), local.date() - timedelta(days=1)):
        begins = datetime.combine(begun, time(start), UTC)
        ends = begins + timedelta(hours=(end - start) % 24 or 24)
        is_right_day = begun.weekday() in days
        if holidays:
            key, calendar = holidays.split(": ")
            is_right_day &= (begun in calendars[calendar]) == (key == "holidays")
        if is_right_day and begins <= local < ends:
            return True
    return False


@examples(100)
@given(
    parts=st.lists(PARTS, min_size=1, max_size=3),
    calendars=st.fixed_dictionaries({"a": DATES, "b": DATES}),
    minutes=st.lists(st.integers(0, 22 * 1440 - 1), min_size=1, max_size=20),
)
def test_a_band_holds_what_its_parts_say_of_days_hours_and_holidays(
    parts: list[tuple[set[int], tuple[int, int], str]], calendars: dict[str, set[date]], minutes: list[int]
) -> None:
    dates = {name: days | {date(2020, 1, 1)} for name, days in calendars.items()}
    listed = "".join(f"  {name}: [{', '.join(map(str, sorted(days)))}]\n" for name, days in dates.items())
    said = ", ".join(part_text(part).replace(", hours-of: all", "") for part in parts)
    text = f"holidays:\n{listed}{BOOK.format(bands=f'  band: [{said}]', prices=BAND_PRICE).lstrip()}"
    books = RateBooks([parse_rate_book(text, "hours.yaml")])
    for minute in minutes:
        at = datetime(2026, 2, 19, tzinfo=UTC) + timedelta(minutes=minute)
        usage = usage_of(id="usage", identifier="ada", usage_type="voice", started_at=at, quantity=Decimal(1), unit="s")
        priced = books.price_usage("basic", usage, time_zone="UTC", currency="EUR")
        assert isinstance(priced, PricedUsage) == any(holds(part, dates, at) for part in parts), at
