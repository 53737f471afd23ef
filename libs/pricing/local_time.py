"""Which minute of the local week an instant is: what the clock on a customer's wall shows, DST included.

Nearly every day has one UTC offset from end to end, so the offset is looked up once per zone and UTC day and then added;
days on which the clocks change, and zones that were seconds off, ask the time zone database for every instant.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from libs.periods import time_zone
from libs.pricing.time_band import MINUTES_PER_DAY, MINUTES_PER_WEEK

# A year of days in each of a hundred zones.
DAYS_REMEMBERED_MAX = 36_500

# Local time does not exist in every zone on the first and the last days of the calendar: they take the next one's offset.
_FIRST = datetime(1, 1, 3, tzinfo=UTC)
_LAST = datetime(9999, 12, 29, tzinfo=UTC)


def minute_of_week(at: datetime, zone_name: str) -> int:
    """Minutes since Monday 00:00 on the wall of that zone. `at` is in UTC. Raises UnknownTimeZone."""
    local_at_midnight = _local_minute_at_utc_midnight(at.toordinal(), zone_name)
    if local_at_midnight is None:
        return _minute_of_week_by_database(at, zone_name)
    return (local_at_midnight + at.hour * 60 + at.minute) % MINUTES_PER_WEEK


@lru_cache(maxsize=DAYS_REMEMBERED_MAX)
def _local_minute_at_utc_midnight(ordinal: int, zone_name: str) -> int | None:
    """The local minute of the week when that UTC day begins; None when its offset is not one whole number of minutes."""
    midnight = datetime.fromordinal(ordinal).replace(tzinfo=UTC)
    hours = (_within_calendar(midnight) + timedelta(hours=hour) for hour in range(25))
    offset, *others = {_utc_offset(hour, zone_name) for hour in hours}
    if others or offset % timedelta(minutes=1):
        return None
    return midnight.weekday() * MINUTES_PER_DAY + offset // timedelta(minutes=1)


def _minute_of_week_by_database(at: datetime, zone_name: str) -> int:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    local = at - midnight + _utc_offset(_within_calendar(at), zone_name)
    return (at.weekday() * MINUTES_PER_DAY + local // timedelta(minutes=1)) % MINUTES_PER_WEEK


def _utc_offset(at: datetime, zone_name: str) -> timedelta:
    offset = at.astimezone(time_zone(zone_name)).utcoffset()
    assert offset is not None, f"{zone_name} has no UTC offset"
    return offset


def _within_calendar(at: datetime) -> datetime:
    return min(max(at, _FIRST), _LAST)
