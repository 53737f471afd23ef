"""Time bands: named hours of the local week, such as peak, night or weekend.

A week is 10,080 minutes from Monday 00:00 as the clock on the wall shows them. Bands may overlap each other (`night` and
`weekend`), so the minutes of a week fall into *slots*: two minutes are of one slot when the same bands hold both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from libs.pricing.faults import Unreadable, suggest

MINUTES_PER_DAY = 24 * 60
MINUTES_PER_WEEK = 7 * MINUTES_PER_DAY
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = frozenset(range(7))
# The versions of a book mostly divide the week alike, and share what costs ten thousand steps and as many numbers to keep.
BANDS_REMEMBERED_MAX = 64

_HOURS = re.compile(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Hours:
    """Minutes of a day, half-open; `end` is not after `start` when the band runs past midnight into the next day."""

    start: int
    end: int


ALL_DAY = Hours(0, MINUTES_PER_DAY)


@dataclass(frozen=True, slots=True)
class TimeBand:
    """`minutes` are the minutes of the week that belong to it."""

    name: str
    minutes: frozenset[int]


@dataclass(frozen=True, slots=True)
class WeekSlots:
    """`slot_by_minute` has one slot number for each minute of the week, `slots_by_band` the slots that make up a band."""

    slot_by_minute: tuple[int, ...]
    slots_by_band: Mapping[str, frozenset[int]]
    count: int


def parse_hours(text: str) -> Hours:
    """`08:00-18:00`, or `22:00-06:00` past midnight, or up to `24:00`. Raises Unreadable."""
    parts = _HOURS.fullmatch(text)
    if parts is None:
        raise Unreadable(f"{text[:80]!r} are not hours", "write from-to with two digits each, as in 08:00-18:00")
    start, end = (int(hour) * 60 + int(minute) for hour, minute in ((parts[1], parts[2]), (parts[3], parts[4])))
    if max(int(parts[2]), int(parts[4])) > 59 or start >= MINUTES_PER_DAY or end > MINUTES_PER_DAY:
        raise Unreadable(f"{text!r} are not hours of a day", "start between 00:00 and 23:59, end between 00:00 and 24:00")
    if start == end:
        raise Unreadable(f"{text!r} is empty", "leave `hours` out for the whole day")
    return Hours(start, end)


def parse_days(text: str) -> frozenset[int]:
    """`sat`, or a range such as `mon-fri` or `fri-mon`; Monday is 0. Raises Unreadable."""
    names = [name.strip() for name in text.lower().split("-")]
    for name in names:
        if name not in DAYS:
            raise Unreadable(f"unknown day {name[:80]!r}", suggest(name[:3], DAYS, f"use {', '.join(DAYS)} or a range such as mon-fri"))
    if len(names) > 2:
        raise Unreadable(f"{text!r} is not one range of days", "write from-to, as in mon-fri, or a list")
    first, last = DAYS.index(names[0]), DAYS.index(names[-1])
    return frozenset((first + offset) % 7 for offset in range((last - first) % 7 + 1))


@lru_cache(BANDS_REMEMBERED_MAX)
def minutes_of_week(days: frozenset[int], hours: Hours) -> frozenset[int]:
    """The minutes of those hours on those days; what runs past midnight belongs to the day on which it starts."""
    length = (hours.end - hours.start) % MINUTES_PER_DAY or MINUTES_PER_DAY
    starts = (day * MINUTES_PER_DAY + hours.start for day in days)
    return frozenset(minute % MINUTES_PER_WEEK for start in starts for minute in range(start, start + length))


@lru_cache(BANDS_REMEMBERED_MAX)
def divide_week(bands: tuple[TimeBand, ...]) -> WeekSlots:
    """The slots into which these bands divide the week."""
    holders: list[tuple[str, ...]] = [()] * MINUTES_PER_WEEK
    for band in bands:
        for minute in band.minutes:
            holders[minute] += (band.name,)
    slots = {names: slot for slot, names in enumerate(dict.fromkeys(holders))}
    return WeekSlots(
        slot_by_minute=tuple(slots[names] for names in holders),
        slots_by_band={band.name: frozenset(slot for names, slot in slots.items() if band.name in names) for band in bands},
        count=len(slots),
    )


def minute_name(minute: int) -> str:
    """How people say a minute of the week: `Mon 08:00`."""
    day, minute_of_day = divmod(minute, MINUTES_PER_DAY)
    return f"{DAYS[day].title()} {minute_of_day // 60:02}:{minute_of_day % 60:02}"
