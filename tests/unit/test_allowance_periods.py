"""The periods of grants: they follow each other without gap or overlap, in every zone and whatever its clocks do."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.pricing.allowance import Recurrence
from libs.pricing.allowance_period import days_after, period_before, period_containing, start_of_day

ZONES = ["UTC", "Europe/Madrid", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Australia/Sydney", "Pacific/Apia"]
RECURRING = [recurrence for recurrence in Recurrence if recurrence is not Recurrence.ONCE]
TICK = timedelta(milliseconds=1)
INSTANTS = st.integers(0, 20 * 366 * 24 * 3600).map(lambda seconds: datetime(2010, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


@given(INSTANTS, st.sampled_from(ZONES), st.sampled_from(RECURRING))
def test_every_instant_lies_in_one_period_and_each_ends_where_the_next_starts(at: datetime, zone: str, recurrence: Recurrence) -> None:
    period = period_containing(recurrence, at, zone)
    before = period_before(recurrence, period, zone)
    assert period.start <= at < period.end
    assert before.end == period.start
    assert before.label < period.label
    assert period_containing(recurrence, period.end - TICK, zone) == period
    assert period_before(recurrence, period_containing(recurrence, period.end, zone), zone) == period


@pytest.mark.parametrize(
    ("recurrence", "zone", "at", "label", "hours"),
    [
        (Recurrence.DAY, "Europe/Madrid", "2026-03-29T12:00:00Z", "2026-03-29", 23),
        (Recurrence.DAY, "Europe/Madrid", "2026-10-25T12:00:00Z", "2026-10-25", 25),
        (Recurrence.DAY, "Australia/Sydney", "2026-10-03T20:00:00Z", "2026-10-04", 23),
        (Recurrence.DAY, "Australia/Lord_Howe", "2026-10-03T20:00:00Z", "2026-10-04", 23.5),
        (Recurrence.DAY, "Australia/Lord_Howe", "2026-04-04T20:00:00Z", "2026-04-05", 24.5),
        (Recurrence.DAY, "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04", 23),
        (Recurrence.DAY, "Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-29", 24),
        (Recurrence.DAY, "Pacific/Apia", "2011-12-30T11:00:00Z", "2011-12-31", 24),
        (Recurrence.WEEK, "Europe/Madrid", "2026-03-29T12:00:00Z", "2026-03-23", 167),
        (Recurrence.WEEK, "Europe/Madrid", "2026-12-31T23:30:00Z", "2026-12-28", 168),
        (Recurrence.MONTH, "Europe/Madrid", "2028-02-29T23:30:00Z", "2028-03-01", 743),
    ],
)
def test_a_period_is_as_long_as_the_clocks_make_it(recurrence: Recurrence, zone: str, at: str, label: str, hours: float) -> None:
    period = period_containing(recurrence, datetime.fromisoformat(at), zone)
    assert (period.label, period.end - period.start) == (label, timedelta(hours=hours))


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-03-01T00:00:00+01:00", 30, "2026-03-31T00:00:00+02:00"),
        ("2026-10-24T12:00:00+02:00", 1, "2026-10-25T12:00:00+01:00"),
        ("2028-02-01T00:00:00+01:00", 29, "2028-03-01T00:00:00+01:00"),
    ],
)
def test_days_are_those_of_the_calendar(start: str, days: int, end: str) -> None:
    assert days_after(datetime.fromisoformat(start), days, "Europe/Madrid") == datetime.fromisoformat(end)


def test_a_day_starts_at_its_first_instant() -> None:
    assert start_of_day(date(2018, 11, 4), "America/Sao_Paulo") == datetime(2018, 11, 4, 3, tzinfo=UTC)
