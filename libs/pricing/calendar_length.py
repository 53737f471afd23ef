"""Lengths of time as contracts state them: `month`, `3 months`, `28 days`; counted on the calendar, never in hours."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from libs.pricing.faults import Unreadable, suggest

# Unit: how many days, and how many months, one is.
UNITS: dict[str, tuple[int, int]] = {"day": (1, 0), "week": (7, 0), "month": (0, 1), "quarter": (0, 3), "year": (0, 12)}
MONTHS_PER_YEAR = 12
# Ten years: what lasts longer in a contract was mistyped.
DAYS_MAX = 3660
MONTHS_MAX = 120

_LENGTH = re.compile(r"(?:([1-9]\d{0,4})\s+)?([a-z]+?)(s?)", re.ASCII)


@dataclass(frozen=True, slots=True)
class CalendarLength:
    """So many days, weeks, months, quarters or years. Either `days` or `months` is zero."""

    count: int
    unit: str

    @property
    def days(self) -> int:
        """In days; zero for what is counted in months."""
        return self.count * UNITS[self.unit][0]

    @property
    def months(self) -> int:
        """In months; zero for what is counted in days."""
        return self.count * UNITS[self.unit][1]

    def after(self, day: date, times: int = 1) -> date:
        """The day that lies so many lengths later: the 31st becomes the last day of a shorter month."""
        if self.days:
            return day + timedelta(days=self.days * times)
        return day_of_month(month_number(day) + self.months * times, day.day)

    def __str__(self) -> str:
        return self.unit if self.count == 1 else f"{self.count} {self.unit}s"


def month_number(day: date) -> int:
    """Months counted from the beginning of the calendar, so that they can be added."""
    return day.year * MONTHS_PER_YEAR + day.month - 1


def day_of_month(number: int, day: int) -> date:
    """The day of that month, or its last one where it is shorter."""
    year, month = number // MONTHS_PER_YEAR, number % MONTHS_PER_YEAR + 1
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))


def parse_length(text: str) -> CalendarLength:
    """A unit, or a number and a unit: `month`, `1 month`, `3 months`. Raises Unreadable."""
    parts = _LENGTH.fullmatch(text)
    if parts is None or (parts[3] and not parts[1]):
        raise Unreadable(f"{text[:80]!r} is not a length of time", "write a unit, or a number and a unit, as in month, 3 months or 28 days")
    if parts[2] not in UNITS:
        raise Unreadable(f"unknown period {text[:80]!r}", suggest(parts[2], list(UNITS), f"use {', '.join(UNITS)}"))
    length = CalendarLength(int(parts[1] or 1), parts[2])
    if length.days > DAYS_MAX or length.months > MONTHS_MAX:
        raise Unreadable(f"{text!r} is longer than ten years", "use a shorter one")
    return length
