"""A usage price: what it matches, what it asks, and the integers that it becomes.

amount = setup fee + charged quantity x price / per, as one fraction with a denominator that is constant per price:
10**(decimals of price or fee) x per x 10**(decimals of increments). Nothing is rounded.
"""

from dataclasses import dataclass
from decimal import ROUND_CEILING as CEILING
from decimal import Context, Decimal

from msgspec import Struct

from libs.contracts import QUANTITY_MAX, UsageReceived
from libs.pricing.exact_number import ExactNumber
from libs.pricing.faults import Place
from libs.pricing.increments import Increments
from libs.pricing.time_band import TimeBand
from libs.pricing.unit import UnitQuantity

# A charge adds numerators in 34 digits (Decimal128): this leaves room for ten thousand usages of the greatest quantity.
NUMERATOR_MAX = 10**30

# Rounding up first to so many digits and then to a whole number is the same as rounding up once.
_UP = Context(prec=100, rounding=CEILING)


@dataclass(frozen=True, slots=True)
class UsageMatch:
    """Which usages a price is for. `called` are prefixes; empty means any called number, or none at all."""

    usage_type: str
    called: tuple[str, ...] = ()
    time_band: TimeBand | None = None


@dataclass(frozen=True, slots=True)
class UsagePrice:
    """`amount` is asked `per` so many units of the charged quantity, `setup_fee` once for each usage with a quantity."""

    id: str
    description: str
    match: UsageMatch
    amount: ExactNumber
    per: UnitQuantity
    increments: Increments
    setup_fee: ExactNumber
    tax_category: str | None
    place: Place


@dataclass(frozen=True, slots=True)
class CompiledPrice:
    """A usage price in integers. Quantities are counted in steps of `10**-decimals` of the unit."""

    price_id: str
    description: str
    usage_type: str
    unit: str
    currency: str
    tax_category: str | None
    rate_book: str
    decimals: int
    first: int
    then: int
    numerator_per_step: int
    setup_numerator: int
    denominator: int

    def price(self, usage: UsageReceived) -> "PricedUsage":
        """Price a usage of this price's unit, whose quantity is between zero and QUANTITY_MAX."""
        steps = self.charged_steps(usage.quantity)
        numerator = steps * self.numerator_per_step + self.setup_numerator if steps else 0
        return PricedUsage(self, Decimal(steps).scaleb(-self.decimals, _UP) if self.decimals else Decimal(steps), numerator)

    def charged_steps(self, quantity: Decimal) -> int:
        """The quantity rounded up to its increments; nothing for nothing."""
        if self.decimals:
            quantity = _UP.scaleb(quantity, self.decimals)
        steps = int(quantity)
        if steps != quantity:
            steps += 1
        if steps <= self.first:
            return self.first if steps else 0
        if self.then == 1:
            return steps
        return self.first - (self.first - steps) // self.then * self.then


class PricedUsage(Struct, frozen=True, gc=False):
    """The exact amount is `numerator / denominator` in `currency`, not rounded; `charged_quantity` counts the price's units.

    A struct, and what is the same for every usage of a price only in the price: there is one of these for each usage.
    """

    price: CompiledPrice
    charged_quantity: Decimal
    numerator: int

    @property
    def price_id(self) -> str:
        """Which price of the book it is."""
        return self.price.price_id

    @property
    def denominator(self) -> int:
        """The same for every usage of the price, so that a charge adds few distinct ones."""
        return self.price.denominator

    @property
    def currency(self) -> str:
        """The currency of the price."""
        return self.price.currency

    @property
    def rate_book(self) -> str:
        """The id of the book that has the price."""
        return self.price.rate_book


def compile_price(price: UsagePrice, currency: str, rate_book: str) -> CompiledPrice:
    """The price as integers."""
    decimals = max(price.increments.first.decimals, price.increments.then.decimals)
    money_decimals = max(price.amount.decimals, price.setup_fee.decimals)
    per = price.per.count
    return CompiledPrice(
        price_id=price.id,
        description=price.description,
        usage_type=price.match.usage_type,
        unit=price.per.unit,
        currency=currency,
        tax_category=price.tax_category,
        rate_book=rate_book,
        decimals=decimals,
        first=price.increments.first.scaled(decimals),
        then=price.increments.then.scaled(decimals),
        numerator_per_step=price.amount.scaled(money_decimals) * 10**per.decimals,
        setup_numerator=price.setup_fee.scaled(money_decimals) * per.digits * 10**decimals,
        denominator=10**money_decimals * per.digits * 10**decimals,
    )


def greatest_numerator(price: CompiledPrice) -> int:
    """The numerator of a usage of the greatest quantity that is priced at all."""
    return price.charged_steps(QUANTITY_MAX) * price.numerator_per_step + price.setup_numerator
