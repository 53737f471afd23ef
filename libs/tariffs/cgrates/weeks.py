"""Timings of CGRateS as minutes of the week, and who of several prices which minute.

A timing says from when in the day on it holds; another one that starts later the same day takes over, and a heavier one comes
before all. Our time bands say from when until when, and must not overlap: so the week is divided first.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from libs.pricing.holidays import DATES_MAX
from libs.pricing.time_band import DAYS, MINUTES_PER_DAY, MINUTES_PER_WEEK
from libs.tariffs.cgrates.tables import Remark, RemarkKind, Row

DATE_COLUMNS = ("Years", "Months", "MonthDays")
ANY_VALUES = ("", "*any")
# A calendar of a rate book has dates with years: those of every year are listed for these.
YEARS_LISTED = range(2010, 2041)
WHOLE_WEEK = frozenset(range(MINUTES_PER_WEEK))
# Thousands of prefixes have the same few timings, and dividing a week takes thousands of steps.
SCHEDULES_REMEMBERED_MAX = 1_000
_TIME = re.compile(r"(\d\d?):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Timing:
    """`minutes` of the week; `start` is its minute of the day; `dates` are the only days on which it holds, if there are such.

    `line` is that of the file; 0 where it stands in none.
    """

    name: str
    start: int
    minutes: frozenset[int]
    dates: frozenset[str] = frozenset()
    line: int = 0

    @classmethod
    def always(cls, name: str) -> "Timing":
        """All week."""
        return cls(name, 0, WHOLE_WEEK)


@dataclass(frozen=True)
class BandMinutes:
    """The minutes of ordinary weeks, and those of the days that are among `dates`, which are none where it is all the same."""

    ordinary: frozenset[int]
    special: frozenset[int]
    dates: frozenset[str] = frozenset()

    @property
    def is_always(self) -> bool:
        """Whether there is no other time."""
        return len(self.ordinary) == len(self.special) == MINUTES_PER_WEEK


@dataclass(frozen=True)
class Division:
    """Who has which minutes, by the places of the claims; `equals` are those who claim some with the same right, of which the
    earlier has them, `others` those whose dates are not those of the rest. `unpriced` are the minutes that nobody has."""

    shares: tuple[tuple[int, BandMinutes], ...]
    equals: tuple[tuple[int, int], ...]
    others: tuple[int, ...]
    unpriced: frozenset[int]


def read_timing(row: Row, remarks: list[Remark]) -> Timing | None:
    """The timing of a row; None, with a remark, where it cannot be said in a rate book."""
    name = row["Id"]
    days, hours, dates = _week_days(row["WeekDays"]), _hours(row["Time"]), _dates(row)
    if days is None or hours is None:
        remarks.append(row.remark(RemarkKind.LEFT_OUT, f"timing {name}: week days {row['WeekDays']} at {row['Time']} cannot be read"))
        return None
    if dates is None or len(dates) > DATES_MAX:
        limits = ", ".join(f"{column} {row[column]}" for column in DATE_COLUMNS)
        remarks.append(row.remark(RemarkKind.LEFT_OUT, f"timing {name}: {limits} are no days of the calendar, or too many to list"))
        return None
    start, end, seconds = hours
    if seconds:
        remarks.append(row.remark(RemarkKind.DIFFERS, f"timing {name}: {row['Time']} is rounded to whole minutes"))
    if dates and row["Years"] in ANY_VALUES:
        first, last = YEARS_LISTED[0], YEARS_LISTED[-1]
        remarks.append(row.remark(RemarkKind.DIFFERS, f"timing {name}: its dates are listed for the years {first} to {last}"))
    return Timing(name, start, frozenset(day * MINUTES_PER_DAY + minute for day in days for minute in range(start, end)), dates, row.line)


@lru_cache(SCHEDULES_REMEMBERED_MAX)
def divide(claims: tuple[tuple[Timing, Decimal], ...]) -> Division:
    """Divide the week among timings with their weights: the heavier one first, of equals the one that starts later in the day.

    Days on which a timing of certain dates holds are divided apart. There is one calendar of them: that of the first such timing.
    """
    dates = next((timing.dates for timing, _ in claims if timing.dates), frozenset())
    ranked = sorted(range(len(claims)), key=lambda position: (-claims[position][1], -claims[position][0].start))
    fitting = [position for position in ranked if claims[position][0].dates in (frozenset(), dates)]
    ordinary = _divide_week([position for position in fitting if not claims[position][0].dates], claims)
    special = _divide_week(fitting, claims) if dates else ordinary
    shares = []
    for position in fitting:
        minutes = ordinary.get(position, frozenset()), special.get(position, frozenset())
        if any(minutes):
            shares.append((position, BandMinutes(*minutes, dates if minutes[0] != minutes[1] else frozenset())))
    return Division(
        tuple(shares),
        tuple(_equals(fitting, claims)),
        tuple(position for position in ranked if position not in fitting),
        frozenset().union(*(WHOLE_WEEK.difference(*week.values()) for week in (ordinary, special))),
    )


def _divide_week(ranked: list[int], claims: tuple[tuple[Timing, Decimal], ...]) -> dict[int, frozenset[int]]:
    free = WHOLE_WEEK
    won: dict[int, frozenset[int]] = {}
    for position in ranked:
        if minutes := claims[position][0].minutes & free:
            won[position] = minutes
            free -= minutes
    return won


def _equals(ranked: list[int], claims: tuple[tuple[Timing, Decimal], ...]) -> Iterator[tuple[int, int]]:
    for rank, position in enumerate(ranked):
        timing, weight = claims[position]
        for earlier in ranked[:rank]:
            other, others_weight = claims[earlier]
            if (others_weight, other.start) == (weight, timing.start) and other.minutes & timing.minutes:
                yield earlier, position


def band_terms(minutes: BandMinutes, holidays: str) -> Any:
    """A time band of a rate book that holds these minutes; `holidays` is the name of their dates."""
    if not minutes.dates:
        parts = _week_terms(minutes.ordinary)
    else:
        parts = [{**part, "except_holidays": holidays} for part in _week_terms(minutes.ordinary)]
        parts += [{**part, "holidays": holidays} for part in _week_terms(minutes.special)]
    return parts[0] if len(parts) == 1 else parts


def hours_in_words(minutes: frozenset[int]) -> str:
    """Minutes of the week as people say them: mon-fri 00:00-13:00."""
    told = []
    for part in _week_terms(minutes):
        days, hours = (
            value if isinstance(value, list) else [value] for value in (part.get("days", "every day"), part.get("hours", "all day"))
        )
        told.append(f"{', '.join(days)} {', '.join(hours)}")
    return "; ".join(told)


def _week_terms(minutes: frozenset[int]) -> list[dict[str, Any]]:
    """Days with the same hours together."""
    hours_by_day = [tuple(_runs(minutes, day)) for day in range(len(DAYS))]
    parts = []
    for hours in dict.fromkeys(hours_by_day):
        if hours:
            days = [day for day in range(len(DAYS)) if hours_by_day[day] == hours]
            named = {} if len(days) == len(DAYS) else {"days": _one_or_list(_day_ranges(days))}
            parts.append({**named, **({} if hours == ("00:00-24:00",) else {"hours": _one_or_list(list(hours))})})
    return parts


def _dates(row: Row) -> frozenset[str] | None:
    """The days that years, months and days of the month say; none where they say nothing, None where that is not to be read."""
    if all(row[column] in ANY_VALUES for column in DATE_COLUMNS):
        return frozenset()
    years, months, days = (
        _numbers(row[column], every) for column, every in zip(DATE_COLUMNS, (YEARS_LISTED, range(1, 13), range(1, 32)), strict=True)
    )
    if years is None or months is None or days is None or len(years) * len(months) * len(days) > DATES_MAX * 2:
        return None
    valid = [f"{year:04}-{month:02}-{day:02}" for year in years for month in months for day in days if _is_date(year, month, day)]
    return frozenset(valid) or None


def _numbers(text: str, every: range) -> list[int] | None:
    if text in ANY_VALUES:
        return list(every)
    parts = [part.strip() for part in text.split(";") if part.strip()]
    return [int(part) for part in parts] if parts and all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts) else None


def _is_date(year: int, month: int, day: int) -> bool:
    return year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


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
