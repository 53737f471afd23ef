"""Which minute of local time an instant is: what the clock on a customer's wall shows, DST included.

Nearly every day has one UTC offset from end to end, so the offset is looked up once per zone and UTC day and then added;
days on which the clocks change, and zones that were seconds off, ask the time zone database for every instant.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from libs.periods import time_zone
from libs.pricing.time_band import MINUTES_PER_DAY

# A year of days in each of a hundred zones.
DAYS_REMEMBERED_MAX = 36_500
SECONDS_PER_HOUR = 3_600

# Local time does not exist in every zone on the first and the last days of the calendar: they take the next one's offset.
_FIRST = datetime(1, 1, 3, tzinfo=UTC)
_LAST = datetime(9999, 12, 29, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
# From here on clocks are not looked at any more.
CALENDAR_END = datetime(9999, 12, 1, tzinfo=UTC)


def local_minute(at: datetime, zone_name: str) -> int:
    """Minutes since Monday 0001-01-01 00:00 on the wall of that zone. `at` is in UTC. Raises UnknownTimeZone."""
    local_at_midnight = _local_minute_at_utc_midnight(at.toordinal(), zone_name)
    if local_at_midnight is None:
        return _local_minute_by_database(at, zone_name)
    return local_at_midnight + at.hour * 60 + at.minute


def same_offset_until(at: datetime, zone_name: str) -> datetime:
    """An instant, at most a UTC day ahead, up to which the clocks of that zone run on without a change. `at` is in UTC."""
    return next(change for change in _offset_changes(at.toordinal(), zone_name) if change > at)


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def _local_minute_at_utc_midnight(ordinal: int, zone_name: str) -> int | None:
    """The local minute when that UTC day begins; None when its offset is not one whole number of minutes."""
    midnight = datetime.fromordinal(ordinal).replace(tzinfo=UTC)
    hours = (_within_calendar(midnight) + timedelta(hours=hour) for hour in range(25))
    offset, *others = {_utc_offset(hour, zone_name) for hour in hours}
    if others or offset % _MINUTE:
        return None
    return _minutes_before(ordinal) + offset // _MINUTE


def _local_minute_by_database(at: datetime, zone_name: str) -> int:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    local = at - midnight + _utc_offset(_within_calendar(at), zone_name)
    return _minutes_before(at.toordinal()) + local // _MINUTE


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def _offset_changes(ordinal: int, zone_name: str) -> tuple[datetime, ...]:
    """The instants of that UTC day at which the clocks change, and its end; no zone ever changed its clocks twice within an hour."""
    midnight = datetime.fromordinal(ordinal).replace(tzinfo=UTC)
    end = (midnight + timedelta(days=1),)
    if _local_minute_at_utc_midnight(ordinal, zone_name) is not None:
        return end

    def offset(second: int) -> timedelta:
        return _utc_offset(_within_calendar(midnight + timedelta(seconds=second)), zone_name)

    changes = []
    for hour in range(24):
        before, after = hour * SECONDS_PER_HOUR, (hour + 1) * SECONDS_PER_HOUR
        if offset(before) == offset(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        changes.append(midnight + timedelta(seconds=after))
    return (*changes, *end)


def _minutes_before(ordinal: int) -> int:
    return (ordinal - 1) * MINUTES_PER_DAY


def _utc_offset(at: datetime, zone_name: str) -> timedelta:
    offset = at.astimezone(time_zone(zone_name)).utcoffset()
    assert offset is not None, f"{zone_name} has no UTC offset"
    return offset


def _within_calendar(at: datetime) -> datetime:
    return min(max(at, _FIRST), _LAST)
