"""Time bands: named hours of the local week and of holidays, such as peak, night or weekend.

A week is 10,080 minutes from Monday 00:00 as the clock on the wall shows them. Bands may overlap each other (`night` and
`weekend`), so the minutes of a week fall into *slots*: two minutes are of one slot when the same bands hold both. Holidays, and the
days after them, into which a band may run past midnight, have slots of their own.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
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
class BandPart:
    """Minutes of the week: those of the days on which the part begins, and those into which it runs past midnight.

    `holidays` limits it to the days of that calendar, `except_holidays` to all others; what counts is the day on which it begins.
    """

    same_day: frozenset[int]
    next_day: frozenset[int] = frozenset()
    holidays: str | None = None
    except_holidays: str | None = None

    def is_on(self, calendars: frozenset[str]) -> bool:
        """Whether it begins on a day that is in those calendars."""
        return (self.holidays is None or self.holidays in calendars) and self.except_holidays not in calendars


@dataclass(frozen=True, slots=True)
class TimeBand:
    """Minutes of the week, and of holidays, under a name."""

    name: str
    parts: tuple[BandPart, ...]

    def minutes(self, today: frozenset[str], yesterday: frozenset[str]) -> frozenset[int]:
        """The minutes of the week that belong to it on days that are in the calendars `today`, after days in `yesterday`."""
        begun = (part.same_day for part in self.parts if part.is_on(today))
        return frozenset().union(*begun, *(part.next_day for part in self.parts if part.is_on(yesterday)))


@dataclass(frozen=True, slots=True)
class DaySlots:
    """A stretch of minutes: the slot of each, and for how many minutes it stays the same from there, to the end of the day."""

    slot_by_minute: tuple[int, ...]
    minutes_left: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WeekSlots:
    """`week` has the minutes of ordinary weeks; `special_days` those of days near holidays, by days since 0001-01-01.

    `slots_by_band` has the slots that make up a band, `slot_names` when each slot comes first.
    """

    week: DaySlots
    special_days: Mapping[int, DaySlots]
    slots_by_band: Mapping[str, frozenset[int]]
    slot_names: tuple[str, ...]

    @property
    def count(self) -> int:
        """How many slots there are."""
        return len(self.slot_names)

    def slot(self, local_minute: int) -> int:
        """The slot of a minute since Monday 0001-01-01."""
        if self.special_days:
            day = self.special_days.get(local_minute // MINUTES_PER_DAY)
            if day is not None:
                return day.slot_by_minute[local_minute % MINUTES_PER_DAY]
        return self.week.slot_by_minute[local_minute % MINUTES_PER_WEEK]

    def minutes_left(self, local_minute: int) -> int:
        """For how many minutes from there the slot stays the same on that day."""
        day = self.special_days.get(local_minute // MINUTES_PER_DAY)
        if day is not None:
            return day.minutes_left[local_minute % MINUTES_PER_DAY]
        return self.week.minutes_left[local_minute % MINUTES_PER_WEEK]


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
def minutes_of_week(days: frozenset[int], hours: Hours) -> BandPart:
    """The minutes of those hours on those days; what runs past midnight belongs to the day on which it starts."""
    end = hours.end if hours.end > hours.start else MINUTES_PER_DAY
    same_day = (day * MINUTES_PER_DAY + minute for day in days for minute in range(hours.start, end))
    beyond = hours.end if hours.end <= hours.start else 0
    next_day = ((day + 1) * MINUTES_PER_DAY + minute for day in days for minute in range(beyond))
    return BandPart(frozenset(same_day), frozenset(minute % MINUTES_PER_WEEK for minute in next_day))


@lru_cache(BANDS_REMEMBERED_MAX)
def divide_week(bands: tuple[TimeBand, ...], holidays: tuple[tuple[str, frozenset[int]], ...] = ()) -> WeekSlots:
    """The slots into which these bands divide the week and the days near `holidays`: calendars of days since 0001-01-01."""
    slots: dict[tuple[str, ...], int] = {}
    names: list[str] = []
    ordinary = _holders(bands, range(MINUTES_PER_WEEK), frozenset(), frozenset())
    for minute, holders in enumerate(ordinary):
        if slots.setdefault(holders, len(slots)) == len(names):
            names.append(minute_name(minute))
    by_kind: dict[tuple[int, frozenset[str], frozenset[str]], DaySlots] = {}
    special_days: dict[int, DaySlots] = {}
    for day in sorted({near for _, days in holidays for holiday in days for near in (holiday, holiday + 1) if near < date.max.toordinal()}):
        today, yesterday = (frozenset(name for name, days in holidays if of in days) for of in (day, day - 1))
        kind = (day % 7, today, yesterday)
        if kind not in by_kind:
            start = day % 7 * MINUTES_PER_DAY
            holders_of_day = _holders(bands, range(start, start + MINUTES_PER_DAY), today, yesterday)
            for minute, holders in enumerate(holders_of_day):
                if slots.setdefault(holders, len(slots)) == len(names):
                    names.append(f"{date.fromordinal(day + 1)} {minute // 60:02}:{minute % 60:02}")
            by_kind[kind] = _day_slots([slots[holders] for holders in holders_of_day])
        special_days[day] = by_kind[kind]
    return WeekSlots(
        week=_day_slots([slots[holders] for holders in ordinary]),
        special_days=special_days,
        slots_by_band={band.name: frozenset(slot for holders, slot in slots.items() if band.name in holders) for band in bands},
        slot_names=tuple(names),
    )


def _holders(bands: tuple[TimeBand, ...], minutes: range, today: frozenset[str], yesterday: frozenset[str]) -> list[tuple[str, ...]]:
    held = [(band.name, band.minutes(today, yesterday)) for band in bands]
    return [tuple(name for name, of_band in held if minute in of_band) for minute in minutes]


def _day_slots(slots: list[int]) -> DaySlots:
    left = [1] * len(slots)
    for minute in range(len(slots) - 2, -1, -1):
        if slots[minute] == slots[minute + 1] and (minute + 1) % MINUTES_PER_DAY:
            left[minute] = left[minute + 1] + 1
    return DaySlots(tuple(slots), tuple(left))


def minute_name(minute: int) -> str:
    """How people say a minute of the week: `Mon 08:00`."""
    day, minute_of_day = divmod(minute, MINUTES_PER_DAY)
    return f"{DAYS[day].title()} {minute_of_day // 60:02}:{minute_of_day % 60:02}"
