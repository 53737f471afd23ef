"""The local period for which an allowance is granted: a day, a week from Monday, a month, or for ever."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from libs.periods import month_containing, time_zone
from libs.pricing.allowance import Recurrence

EVER = datetime.max.replace(tzinfo=UTC)
ALWAYS = datetime.min.replace(tzinfo=UTC)
ONCE_LABEL = "once"


class GrantPeriod(NamedTuple):
    """Half-open; `label` is its first local day, `2026-03-01`, and names the bucket."""

    label: str
    start: datetime
    end: datetime


ONCE = GrantPeriod(ONCE_LABEL, ALWAYS, EVER)


def period_containing(recurrence: Recurrence, instant: datetime, zone_name: str) -> GrantPeriod:
    """The period of that zone in which the instant lies. Raises UnknownTimeZone."""
    if recurrence is Recurrence.ONCE:
        return ONCE
    if recurrence is Recurrence.MONTH:
        month = month_containing(instant, zone_name)
        return GrantPeriod(month.start.astimezone(time_zone(zone_name)).date().isoformat(), month.start, month.end)
    day = instant.astimezone(time_zone(zone_name)).date()
    if recurrence is Recurrence.WEEK:
        return _days_from(day - timedelta(days=day.weekday()), 7, zone_name)
    return _days_from(day, 1, zone_name)


def period_before(recurrence: Recurrence, period: GrantPeriod, zone_name: str) -> GrantPeriod:
    """The one that ends where this one starts."""
    return period_containing(recurrence, period.start - timedelta(milliseconds=1), zone_name)


def days_after(instant: datetime, days: int, zone_name: str) -> datetime:
    """The same local time so many days later."""
    local = instant.astimezone(time_zone(zone_name))
    return (local.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=local.tzinfo).astimezone(UTC)


def start_of_day(day: date, zone_name: str) -> datetime:
    """The first instant of a local day."""
    return _days_from(day, 1, zone_name).start


@lru_cache(maxsize=8192)
def _days_from(first: date, days: int, zone_name: str) -> GrantPeriod:
    zone = time_zone(zone_name)
    start = datetime(first.year, first.month, first.day, tzinfo=zone)
    end = (start.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=zone)
    return GrantPeriod(first.isoformat(), start.astimezone(UTC), end.astimezone(UTC))
