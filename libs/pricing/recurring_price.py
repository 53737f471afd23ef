"""A recurring price: a fee for every period of an offering. When it is charged, and what a part of a period costs, is the book's to say."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from libs.contracts import LineRounding
from libs.pricing.calendar_length import CalendarLength


class Charged(StrEnum):
    """When a fee is on the bill: on the last one before its period begins, or on the first one after it ended."""

    ADVANCE = "advance"
    ARREARS = "arrears"


class Prorating(StrEnum):
    """What a part of a period costs: all of it, its local days, its thirtieths of a month, or its time to the second."""

    NONE = "none"
    BY_DAY = "by_day"
    FIXED_30 = "fixed_30"
    BY_SECOND = "by_second"


class Boundary(StrEnum):
    """Why a fee begins or ends within a period: with the product, or with a change of offering, price or suspension."""

    START = "start"
    END = "end"
    CHANGE = "change"


@dataclass(frozen=True, slots=True)
class Proration:
    """The choice for each kind of boundary."""

    start: Prorating = Prorating.BY_DAY
    end: Prorating = Prorating.BY_DAY
    change: Prorating = Prorating.BY_DAY

    def at(self, boundary: Boundary) -> Prorating:
        """The choice for one."""
        match boundary:
            case Boundary.START:
                return self.start
            case Boundary.END:
                return self.end
            case Boundary.CHANGE:
                return self.change


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where periods begin: on the calendar's own first days, on a day of the month, or on the day of the product's activation."""

    at_activation: bool = False
    day: int | None = None


class Grid(NamedTuple):
    """What decides which periods there are: their length, and where they begin. `anchor_day` is of a month."""

    days: int
    months: int
    at_activation: bool
    anchor_day: int


CALENDAR = Anchor()
ACTIVATION = Anchor(at_activation=True)


@dataclass(frozen=True, slots=True)
class RecurringPrice:
    """`amount` for each `period`, exact, not rounded to the currency.

    `suspended_percent` of it is due while the product is suspended. The price holds from `after` until `for_first`, both counted
    from the day on which the product got the offering; None is from its beginning, and without end. `line_rounding` is as the
    book or the offering says.
    """

    price_id: str
    description: str
    amount: Decimal
    currency: str
    period: CalendarLength
    tax_category: str | None
    rate_book: str
    charged: Charged = Charged.ARREARS
    anchor: Anchor = CALENDAR
    proration: Proration = Proration()
    suspended_percent: Decimal = Decimal(100)
    after: CalendarLength | None = None
    for_first: CalendarLength | None = None
    line_rounding: LineRounding | None = None
    is_tax_included: bool = False

    @property
    def grid(self) -> Grid:
        """Which periods there are."""
        return Grid(self.period.days, self.period.months, self.anchor.at_activation, self.anchor.day or 1)
