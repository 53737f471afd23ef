"""Half-open periods of time, cut in an account's time zone; every instant is in UTC with millisecond precision.

Milliseconds, because that is what MongoDB keeps: an instant must compare equal after it was stored.
"""

import calendar
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, model_validator

# Instants are so far apart at least: the last one of a period is so much before its end.
MOMENT = timedelta(milliseconds=1)


def to_utc_milliseconds(instant: datetime) -> datetime:
    """The same instant in UTC, cut to the millisecond. Raises OverflowError beyond the years 1 to 9999."""
    utc = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
    beyond = utc.microsecond % 1000
    return utc.replace(microsecond=utc.microsecond - beyond) if beyond else utc


def valid_instant(instant: datetime) -> datetime:
    """The same, for instants that others wrote. Raises ValueError beyond the years 1 to 9999."""
    try:
        return to_utc_milliseconds(instant)
    except OverflowError as error:
        raise ValueError(f"{instant} is outside the years 1 to 9999 in UTC") from error


Instant = Annotated[AwareDatetime, AfterValidator(valid_instant)]


# One spelling only: a month that can be written in two ways could be billed twice.
_MONTH_LABEL = re.compile(r"(?!0000)[0-9]{4}-(0[1-9]|1[0-2])")


class UnknownTimeZone(ValueError):
    """Not a name of the IANA time zone database."""


@lru_cache(maxsize=1024)
def time_zone(name: str) -> ZoneInfo:
    """The IANA zone of that name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZone(f"{name!r} is not an IANA time zone such as Europe/Madrid") from None


class Period(BaseModel):
    """Half-open: `start` belongs to it, `end` does not."""

    model_config = ConfigDict(frozen=True)

    start: Instant
    end: Instant

    @model_validator(mode="after")
    def _start_before_end(self) -> "Period":
        if self.start >= self.end:
            raise ValueError(f"a period must start before it ends: {self.start} to {self.end}")
        return self

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


def calendar_month(label: str, zone_name: str) -> Period:
    """The month `2026-03` as lived in that zone. Raises ValueError for anything but YYYY-MM."""
    if not _MONTH_LABEL.fullmatch(label):
        raise ValueError(f"{label!r} is not a month written as YYYY-MM")
    try:
        return _month_starting(int(label[:4]), int(label[5:]), zone_name)
    except OverflowError:
        raise ValueError(f"{label} does not lie within the years 1 to 9999") from None


@lru_cache(maxsize=8192)
def _month_starting(year: int, month: int, zone_name: str) -> Period:
    zone = time_zone(zone_name)
    start = datetime(year, month, 1, tzinfo=zone)
    days = calendar.monthrange(year, month)[1]
    # Wall-clock arithmetic: the first midnight of the next month, whatever DST did in between.
    end = (start.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=zone)
    return Period(start=start, end=end)


def month_containing(instant: datetime, zone_name: str) -> Period:
    """The calendar month, in that zone, in which the instant lies."""
    local = instant.astimezone(time_zone(zone_name))
    return _month_starting(local.year, local.month, zone_name)


def local_date(instant: datetime, zone_name: str) -> date:
    """The day on which the instant lies, on the calendar of that zone."""
    return instant.astimezone(time_zone(zone_name)).date()


def first_moment(day: date, zone_name: str) -> datetime:
    """When the day begins in that zone: at midnight, or at what comes first where the clocks leave midnight out."""
    return to_utc_milliseconds(datetime(day.year, day.month, day.day, tzinfo=time_zone(zone_name)))


def last_date(end: datetime, zone_name: str) -> date:
    """The last day, in that zone, of what ends at the instant, which does not belong to it."""
    return local_date(end - MOMENT, zone_name)
