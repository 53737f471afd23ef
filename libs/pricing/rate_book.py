"""A rate book: what each offering costs from a date on, validated and compiled once, immutable afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments
from libs.pricing.faults import Place
from libs.pricing.one_time_price import OneTimePrice
from libs.pricing.price_table import PriceTable
from libs.pricing.recurring_price import RecurringPrice
from libs.pricing.usage_price import UsagePrice


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
    one_time_prices: tuple[OneTimePrice, ...] = ()


@dataclass(frozen=True, slots=True)
class RateBook:
    """`effective_from` is in UTC; the book holds until a newer one with the same offering takes effect."""

    id: str
    effective_from: datetime
    currency: str
    offerings: Mapping[str, Offering]
    place: Place
