"""The periods of a fee, in local days: which ones there are follows from its length and its anchor.

Months are counted from the anchor itself and not from the period before, so a 31st comes back after a February.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from libs.periods import Period, first_moment
from libs.pricing.calendar_length import CalendarLength, day_of_month, month_number
from libs.pricing.recurring_price import RecurringPrice

# Weeks begin with this day.
A_MONDAY = date(1, 1, 1)
# Most accounts of a bill run have the same ones.
PERIODS_REMEMBERED_MAX = 8192


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
    number = _number_containing(price, activated_on, first)
    starts = _start(price, activated_on, number)
    while starts < beyond:
        number += 1
        ends = _start(price, activated_on, number)
        yield FeePeriod(starts, ends)
        starts = ends


def _number_containing(price: RecurringPrice, activated_on: date, day: date) -> int:
    length = price.period
    if length.days:
        return (day - _origin(price, activated_on)).days // length.days
    number = (month_number(day) - _month_origin(price, activated_on)) // length.months
    return number if _start(price, activated_on, number) <= day else number - 1


def _start(price: RecurringPrice, activated_on: date, number: int) -> date:
    length: CalendarLength = price.period
    if length.days:
        return length.after(_origin(price, activated_on), number)
    return day_of_month(_month_origin(price, activated_on) + number * length.months, _anchor_day(price, activated_on))


def _origin(price: RecurringPrice, activated_on: date) -> date:
    return activated_on if price.anchor.at_activation else A_MONDAY


def _month_origin(price: RecurringPrice, activated_on: date) -> int:
    return month_number(activated_on) if price.anchor.at_activation else 0


def _anchor_day(price: RecurringPrice, activated_on: date) -> int:
    return activated_on.day if price.anchor.at_activation else price.anchor.day or 1
