"""Timings of CGRateS as minutes of the week, and who of several prices which minute.

A timing says from when in the day on it holds; another one that starts later the same day takes over, and a heavier one comes
before all. Our time bands say from when until when, and must not overlap: so the week is divided first.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from libs.pricing.time_band import DAYS, MINUTES_PER_DAY, MINUTES_PER_WEEK
from libs.tariffs.cgrates.tables import Remark, RemarkKind, Row

WHOLE_WEEK = frozenset(range(MINUTES_PER_WEEK))
# Thousands of prefixes have the same few timings, and dividing a week takes thousands of steps.
SCHEDULES_REMEMBERED_MAX = 1_000
_TIME = re.compile(r"(\d\d?):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Timing:
    """`minutes` of the week; `start` is its minute of the day."""

    name: str
    start: int
    minutes: frozenset[int]

    @classmethod
    def always(cls, name: str) -> "Timing":
        """All week."""
        return cls(name, 0, WHOLE_WEEK)


@dataclass(frozen=True)
class Division:
    """Who has which minutes of a week, by the places of the claims; `equals` are those who claim some with the same right, of which
    the earlier has them. `minutes` are all that are claimed."""

    shares: tuple[tuple[int, frozenset[int]], ...]
    equals: tuple[tuple[int, int], ...]
    minutes: frozenset[int]


def read_timing(row: Row, remarks: list[Remark]) -> Timing | None:
    """The timing of a row; None, with a remark, where it is no matter of the week."""
    for column in ("Years", "Months", "MonthDays"):
        if row[column] not in ("", "*any"):
            remarks.append(
                row.remark(RemarkKind.LEFT_OUT, f"timing {row['Id']}: {column} {row[column]}, for a time band is a matter of the week")
            )
            return None
    days, hours = _week_days(row["WeekDays"]), _hours(row["Time"])
    if days is None or hours is None:
        remarks.append(row.remark(RemarkKind.LEFT_OUT, f"timing {row['Id']}: week days {row['WeekDays']} at {row['Time']} cannot be read"))
        return None
    start, end, seconds = hours
    if seconds:
        remarks.append(row.remark(RemarkKind.DIFFERS, f"timing {row['Id']}: {row['Time']} is rounded to whole minutes"))
    return Timing(row["Id"], start, frozenset(day * MINUTES_PER_DAY + minute for day in days for minute in range(start, end)))


@lru_cache(SCHEDULES_REMEMBERED_MAX)
def divide(claims: tuple[tuple[Timing, Decimal], ...]) -> Division:
    """Divide the week among timings with their weights: the heavier one first, of equals the one that starts later in the day."""
    ranked = sorted(range(len(claims)), key=lambda position: (-claims[position][1], -claims[position][0].start))
    shares: list[tuple[int, frozenset[int]]] = []
    equals: list[tuple[int, int]] = []
    free = WHOLE_WEEK
    for rank, position in enumerate(ranked):
        timing, weight = claims[position]
        for earlier in ranked[:rank]:
            other, others_weight = claims[earlier]
            if (others_weight, other.start) == (weight, timing.start) and other.minutes & timing.minutes:
                equals.append((earlier, position))
        if won := timing.minutes & free:
            shares.append((position, won))
            free -= won
    return Division(tuple(shares), tuple(equals), WHOLE_WEEK - free)


def band_terms(minutes: frozenset[int]) -> Any:
    """A time band of a rate book that holds these minutes: days with the same hours together."""
    hours_by_day = [tuple(_runs(minutes, day)) for day in range(len(DAYS))]
    parts = []
    for hours in dict.fromkeys(hours_by_day):
        if hours:
            days = [day for day in range(len(DAYS)) if hours_by_day[day] == hours]
            named = {} if len(days) == len(DAYS) else {"days": _one_or_list(_day_ranges(days))}
            parts.append({**named, **({} if hours == ("00:00-24:00",) else {"hours": _one_or_list(list(hours))})})
    return parts[0] if len(parts) == 1 else parts


def _week_days(text: str) -> list[int] | None:
    """Monday is 0; CGRateS counts it as 1, and Sunday as 0 or 7."""
    if text in ("", "*any"):
        return list(range(7))
    numbers = [part.strip() for part in text.split(";") if part.strip()]
    if not all(number.isdigit() and int(number) <= 7 for number in numbers):
        return None
    return sorted({(int(number) - 1) % 7 for number in numbers})


def _hours(text: str) -> tuple[int, int, bool] | None:
    """Start and end in minutes of the day, the end exclusive, and whether seconds were cut off."""
    if text in ("", "*any", "*asap"):
        return 0, MINUTES_PER_DAY, False
    times = [_TIME.fullmatch(part.strip()) for part in text.split(";")]
    if len(times) > 2 or any(time is None for time in times):
        return None
    seconds = [int(time[1]) * 3600 + int(time[2]) * 60 + int(time[3]) for time in times if time is not None]
    start, last = seconds[0], seconds[1] if len(seconds) == 2 else MINUTES_PER_DAY * 60
    # 11:59:59 is the last second of a minute: the minute belongs to it.
    end = -(-last // 60) if last % 60 == 59 else last // 60
    if not start // 60 < end <= MINUTES_PER_DAY:
        return None
    return start // 60, end, bool(start % 60) or last % 60 not in (0, 59)


def _runs(minutes: frozenset[int], day: int) -> Iterator[str]:
    start = None
    for minute in range(MINUTES_PER_DAY + 1):
        inside = minute < MINUTES_PER_DAY and day * MINUTES_PER_DAY + minute in minutes
        if inside and start is None:
            start = minute
        elif not inside and start is not None:
            yield f"{_clock(start)}-{_clock(minute)}"
            start = None


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _day_ranges(days: list[int]) -> list[str]:
    ranges: list[list[int]] = []
    for day in days:
        if ranges and ranges[-1][-1] == day - 1:
            ranges[-1].append(day)
        else:
            ranges.append([day])
    return [DAYS[run[0]] if len(run) == 1 else f"{DAYS[run[0]]}-{DAYS[run[-1]]}" for run in ranges]


def _one_or_list(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values
