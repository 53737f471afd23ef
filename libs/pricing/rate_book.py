"""A rate book: what each offering costs from a date on, validated and compiled once, immutable afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments
from libs.pricing.allowance import Allowance
from libs.pricing.book_format import FIRST_FORMAT
from libs.pricing.effective_date import EffectiveFrom
from libs.pricing.faults import Place
from libs.pricing.one_time_price import OneTimePrice
from libs.pricing.price_table import UsageTable
from libs.pricing.recurring_price import RecurringPrice
from libs.pricing.time_band import WeekSlots, divide_week
from libs.pricing.usage_price import UsagePrice

# The hours of a book without time bands.
ANY_TIME = divide_week(())


@dataclass(frozen=True, slots=True)
class Offering:
    """The prices of one offering in one book; `tables` are its usage prices compiled, by usage type, `week` the hours of the book."""

    id: str
    currency: str
    rate_book: str
    usage_prices: tuple[UsagePrice, ...]
    recurring_prices: tuple[RecurringPrice, ...]
    tables: Mapping[str, UsageTable]
    place: Place
    adjustments: Adjustments = NO_ADJUSTMENTS
    is_tax_included: bool = False
    week: WeekSlots = ANY_TIME
    one_time_prices: tuple[OneTimePrice, ...] = ()
    allowances: tuple[Allowance, ...] = ()
    home_networks: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class RateBook:
    """A book holds from when it takes effect until a newer one with the same offering does."""

    id: str
    takes_effect: EffectiveFrom
    currency: str
    offerings: Mapping[str, Offering]
    place: Place
    format: int = FIRST_FORMAT
    home_networks: tuple[str, ...] | None = None
    time_zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    @property
    def effective_from(self) -> datetime:
        """Return the instant, in UTC, at which it takes effect first for anybody: from then on it stays as it is."""
        return self.takes_effect.earliest
