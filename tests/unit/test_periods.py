"""Periods as lived in an account's time zone: both changes of the clock, leap days, and days that a calendar left out."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from libs.periods import Instant, Period, UnknownTimeZone, calendar_month, month_containing, time_zone, to_utc_milliseconds

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

zones = st.sampled_from(sorted(name for name in available_timezones() if name not in ("localtime", "Factory", "posixrules")))
months = st.dates(date(1971, 1, 1), date(2037, 11, 30)).map(lambda day: f"{day:%Y-%m}")
instants = st.datetimes(datetime.fromisoformat("1971-02-01"), datetime.fromisoformat("2037-11-01"), timezones=st.just(UTC))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def length(period: Period) -> timedelta:
    return period.end - period.start


def next_month(label: str) -> str:
    year, month = int(label[:4]), int(label[5:])
    return f"{year + month // 12}-{month % 12 + 1:02}"


@pytest.mark.parametrize(
    ("label", "zone", "start", "end"),
    [
        ("2026-03", "UTC", "2026-03-01 00:00", "2026-04-01 00:00"),
        ("2026-03", "Europe/Madrid", "2026-02-28 23:00", "2026-03-31 22:00"),
        ("2026-10", "Europe/Madrid", "2026-09-30 22:00", "2026-10-31 23:00"),
        ("2026-03", "America/New_York", "2026-03-01 05:00", "2026-04-01 04:00"),
        ("2026-11", "America/New_York", "2026-11-01 04:00", "2026-12-01 05:00"),
        ("2026-06", "Asia/Kolkata", "2026-05-31 18:30", "2026-06-30 18:30"),
        ("2026-12", "Pacific/Kiritimati", "2026-11-30 10:00", "2026-12-31 10:00"),
    ],
)
def test_a_month_is_cut_at_local_midnight(label: str, zone: str, start: str, end: str) -> None:
    assert calendar_month(label, zone) == Period(start=utc(start), end=utc(end))


@pytest.mark.parametrize(
    ("label", "zone", "expected"),
    [
        ("2026-03", "Europe/Madrid", 31 * DAY - HOUR),
        ("2026-10", "Europe/Madrid", 31 * DAY + HOUR),
        ("2026-04", "Australia/Lord_Howe", 30 * DAY + HOUR / 2),
        ("2026-10", "Australia/Lord_Howe", 31 * DAY - HOUR / 2),
        ("2026-03", "Asia/Tokyo", 31 * DAY),
        ("2028-02", "Europe/Madrid", 29 * DAY),
        ("2026-02", "Europe/Madrid", 28 * DAY),
        ("2000-02", "UTC", 29 * DAY),
        ("2100-02", "UTC", 28 * DAY),
        # Samoa moved across the date line and had no 30 December.
        ("2011-12", "Pacific/Apia", 30 * DAY),
    ],
)
def test_a_month_is_as_long_as_it_was_lived(label: str, zone: str, expected: timedelta) -> None:
    assert length(calendar_month(label, zone)) == expected


def test_a_month_whose_first_midnight_does_not_exist_starts_with_its_first_moment() -> None:
    # Clocks in Paraguay went from 23:59:59 on 30 September to 01:00 on 1 October.
    october = calendar_month("2017-10", "America/Asuncion")
    assert october.start == utc("2017-10-01 04:00")
    assert october.start.astimezone(time_zone("America/Asuncion")).hour == 1


def test_a_month_whose_first_midnight_comes_twice_starts_with_the_first() -> None:
    # Clocks in Cuba went from 01:00 back to 00:00 on 1 November.
    november = calendar_month("2015-11", "America/Havana")
    assert november.start == utc("2015-11-01 04:00")
    assert month_containing(utc("2015-11-01 05:30"), "America/Havana") == november


@given(zones, months)
def test_months_follow_each_other_without_gap_or_overlap(zone: str, label: str) -> None:
    assert calendar_month(label, zone).end == calendar_month(next_month(label), zone).start


@given(zones, instants)
def test_every_instant_lies_in_the_month_that_its_local_date_names(zone: str, instant: datetime) -> None:
    month = month_containing(instant, zone)
    assert instant in month
    assert month == calendar_month(f"{instant.astimezone(time_zone(zone)):%Y-%m}", zone)


@given(zones, months)
def test_a_month_holds_its_start_and_not_its_end(zone: str, label: str) -> None:
    month = calendar_month(label, zone)
    assert month.start in month
    assert month.end not in month
    assert month.end - timedelta(milliseconds=1) in month
    assert month_containing(month.end, zone) == calendar_month(next_month(label), zone)


@pytest.mark.parametrize("label", ["2026-13", "2026-00", "2026-3", "26-03", "2026-03-01", "March 2026", "", "2026-03 ", "٢٠٢٦-٠٣"])
def test_what_is_no_month_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="is not a month"):
        calendar_month(label, "UTC")


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "CET+1", "\x00", "Europe"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimeZone, match="is not an IANA time zone"):
        time_zone(name)


@pytest.mark.parametrize(("start", "end"), [("2026-03-02", "2026-03-01"), ("2026-03-01", "2026-03-01")])
def test_a_period_that_does_not_last_is_refused(start: str, end: str) -> None:
    with pytest.raises(ValidationError, match="must start before it ends"):
        Period(start=utc(start), end=utc(end))


class Moment(BaseModel):
    """Something with an instant."""

    at: Instant


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Moment.model_validate({"at": "2026-03-01T00:00:00"})


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_an_instant_beyond_the_years_that_can_be_kept_is_refused(at: str) -> None:
    with pytest.raises(ValidationError, match="outside the years 1 to 9999"):
        Moment.model_validate({"at": at})


def test_an_instant_is_kept_in_utc_to_the_millisecond() -> None:
    kept = Moment.model_validate({"at": "2026-03-01T01:02:03.456999+01:00"}).at
    assert kept == utc("2026-03-01 00:02:03.456")
    assert kept.tzinfo is UTC


@given(st.datetimes(datetime.fromisoformat("0001-01-02"), datetime.fromisoformat("9999-12-30"), timezones=st.timezones()))
def test_keeping_an_instant_twice_changes_nothing_more(at: datetime) -> None:
    once = to_utc_milliseconds(at)
    assert to_utc_milliseconds(once) == once
    assert timedelta(0) <= at.astimezone(UTC) - once < timedelta(milliseconds=1)
