"""A rate book: what each offering costs from a date on, validated and compiled once, immutable afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments
from libs.pricing.faults import Place
from libs.pricing.price_table import PriceTable
from libs.pricing.usage_price import UsagePrice


@dataclass(frozen=True, slots=True)
class RecurringPrice:
    """A fee for every period, `month` for now. `amount` is exact, not rounded to the currency."""

    price_id: str
    description: str
    amount: Decimal
    currency: str
    period: str
    tax_category: str | None
    rate_book: str


@dataclass(frozen=True, slots=True)
class Offering:
    """The prices of one offering in one book; `tables` are its usage prices compiled, by usage type."""

    id: str
    currency: str
    rate_book: str
    usage_prices: tuple[UsagePrice, ...]
    recurring_prices: tuple[RecurringPrice, ...]
    tables: Mapping[str, PriceTable]
    place: Place
    adjustments: Adjustments = NO_ADJUSTMENTS


@dataclass(frozen=True, slots=True)
class RateBook:
    """`effective_from` is in UTC; the book holds until a newer one with the same offering takes effect."""

    id: str
    effective_from: datetime
    currency: str
    offerings: Mapping[str, Offering]
    place: Place
