"""The periods of a fee, in local days: which ones there are follows from its length and its anchor.

Months are counted from the anchor itself and not from the period before, so a 31st comes back after a February.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from libs.periods import Period, first_moment
from libs.pricing.calendar_length import day_of_month, month_number
from libs.pricing.recurring_price import Grid, RecurringPrice

# Weeks begin with this day.
A_MONDAY = date(1, 1, 1)
# Most accounts of a bill run have the same ones.
PERIODS_REMEMBERED_MAX = 8192
# A span may have the days of a year, each a period.
SPANS_REMEMBERED_MAX = 1024


@dataclass(frozen=True, slots=True)
class FeePeriod:
    """Local days, half-open: `first` belongs to it, `beyond` is the first of the next."""

    first: date
    beyond: date

    @property
    def days(self) -> int:
        """How many there are, each a whole one whatever its clocks do."""
        return (self.beyond - self.first).days

    def is_lived(self, zone_name: str) -> bool:
        """Whether there was any of it: a zone that moves across the date line leaves a day out."""
        return self.days > 1 or first_moment(self.first, zone_name) < first_moment(self.beyond, zone_name)

    def lived(self, zone_name: str) -> Period:
        """From its first moment to the next one's, in that zone."""
        return _lived(self.first, self.beyond, zone_name)


@lru_cache(maxsize=PERIODS_REMEMBERED_MAX)
def _lived(first: date, beyond: date, zone_name: str) -> Period:
    return Period(start=first_moment(first, zone_name), end=first_moment(beyond, zone_name))


def fee_periods(price: RecurringPrice, activated_on: date, first: date, beyond: date) -> Iterator[FeePeriod]:
    """The periods that have a day in [first, beyond). `activated_on` is the product's own day."""
    return iter(_periods(price.grid, activated_on if price.anchor.at_activation else None, first, beyond))


@lru_cache(maxsize=SPANS_REMEMBERED_MAX)
def _periods(grid: Grid, activated_on: date | None, first: date, beyond: date) -> tuple[FeePeriod, ...]:
    number = _number_containing(grid, activated_on, first)
    starts, periods = _start(grid, activated_on, number), []
    while starts < beyond:
        number += 1
        ends = _start(grid, activated_on, number)
        periods.append(FeePeriod(starts, ends))
        starts = ends
    return tuple(periods)


def _number_containing(grid: Grid, activated_on: date | None, day: date) -> int:
    if grid.days:
        return (day - (activated_on or A_MONDAY)).days // grid.days
    number = (month_number(day) - _month_origin(activated_on)) // grid.months
    return number if _start(grid, activated_on, number) <= day else number - 1


def _start(grid: Grid, activated_on: date | None, number: int) -> date:
    if grid.days:
        return (activated_on or A_MONDAY) + timedelta(days=grid.days * number)
    return day_of_month(_month_origin(activated_on) + number * grid.months, activated_on.day if activated_on else grid.anchor_day)


def _month_origin(activated_on: date | None) -> int:
    return month_number(activated_on) if activated_on else 0
