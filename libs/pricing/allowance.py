"""Allowances: what an offering gives free, in time, volume, messages or money, and how much of it is left.

The terms stand in a rate book; what is left of one grant is a bucket. Quantities are whole numbers with a denominator, so
nothing is rounded: what is drawn and what is left to pay add up to what was asked for. Usage is drawn in whole steps of its
price, money in whole numerators of it; what is left of a bucket and too small for one of them stays there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from msgspec import Struct

from libs.pricing.compiled_price import CompiledPrice
from libs.pricing.faults import Place
from libs.pricing.roaming import ABROAD, AT_HOME, Roaming
from libs.pricing.unit import MONEY

# The unit of a balance that several kinds of usage draw from, each by its own factor.
GENERIC = "unit"
EVENT = "event"


class Recurrence(StrEnum):
    """How often an allowance is granted anew; periods are the account's local ones, weeks begin on Monday."""

    ONCE = "once"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Shared(StrEnum):
    """Who owns a bucket together: one product alone, all products of an account, or all of a group of products."""

    PRODUCT = "product"
    ACCOUNT = "account"
    GROUP = "group"


class Burns(StrEnum):
    """Whether what rolled over is used before or after what is granted anew."""

    FIRST = "first"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which usage may draw. Each of these that is not empty must fit; `called` are prefixes, those of zones among them.

    `roaming` is None where the prices that it names say it, and in books of the first format.
    """

    usage_types: frozenset[str] = frozenset()
    prices: frozenset[str] = frozenset()
    called: tuple[str, ...] = ()
    roaming: Roaming | None = None

    def reaches_place(self, price: CompiledPrice) -> bool:
        """Return whether usage at this price is where the allowance is for, at home or abroad."""
        return self.roaming is None or (ABROAD if price.is_abroad else AT_HOME) in self.roaming.places

    def reaches(self, called_number: str | None) -> bool:
        """Whether a call to this number is covered."""
        return not self.called or (called_number is not None and called_number.startswith(self.called))


@dataclass(frozen=True, slots=True)
class Rollover:
    """What is left at the end of a period stays for `lasts` periods more: at most `most` of it, at least `least`."""

    most: Fraction | None = None
    least: Fraction = Fraction(0)
    lasts: int = 1
    burns: Burns = Burns.FIRST

    @property
    def denominator(self) -> int:
        """In what fractions of a unit its amounts are whole."""
        return lcm(self.least.denominator, 1 if self.most is None else self.most.denominator)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The terms of an allowance. `unit` is s, byte, message or event, a currency, or GENERIC with a factor per usage type.

    `validity_days` are local days from the grant; without them a grant is valid for its period. Nothing is granted or drawn
    from the local day `expires` on. `factors` say how much usage, of which unit, takes one unit of a GENERIC balance.
    """

    id: str
    description: str
    amount: Fraction
    unit: str
    covers: Coverage
    priority: int
    recurrence: Recurrence
    validity_days: int | None
    expires: date | None
    rollover: Rollover | None
    shared: Shared
    is_money: bool
    factors: Mapping[str, tuple[Fraction, str]] = field(default_factory=dict)
    place: Place | None = field(default=None, compare=False)

    def covers_price(self, price: CompiledPrice) -> bool:
        """Whether usage at this price may draw, called numbers apart. Money pays no price that counts the whole month."""
        if self.covers.usage_types and price.usage_type not in self.covers.usage_types:
            return False
        if self.covers.prices and price.price_id not in self.covers.prices:
            return False
        if not self.covers.reaches_place(price):
            return False
        if self.is_money:
            return price.currency == self.unit and price.tiers is None
        if self.factors:
            return price.usage_type in self.factors and self.factors[price.usage_type][1] == price.unit
        if self.pays_whole(price):
            # Only where it is named: a balance of events is mostly one of what is counted in them.
            return bool(self.covers.usage_types or self.covers.prices)
        return price.unit == self.unit

    def pays_whole(self, price: CompiledPrice) -> bool:
        """Whether one event pays for a usage as a whole, however much it is: of a price for amounts of money, by percentage or tiers."""
        return self.unit == EVENT and price.unit == MONEY

    def taken_by_step(self, price: CompiledPrice) -> Fraction:
        """What one step of a price takes: one of its numerators where the allowance is money. Not for what it pays as a whole."""
        if self.is_money:
            return Fraction(1, price.denominator)
        step = Fraction(1, 10**price.decimals)
        return step / self.factors[price.usage_type][0] if self.factors else step


class Bucket(Struct, frozen=True, gc=False):
    """One grant of an allowance, for one owner and one period, counted in `1 / denominator` of its unit.

    `used` went to usage of its own period, `used_later` to that of later ones, to which it rolled over.
    """

    id: str
    granted: int
    denominator: int = 1
    used: int = 0
    used_later: int = 0

    def left(self, rolled: Rollover | None = None) -> int:
        """What may still be drawn: by usage of its own period, or, with the terms by which it rolled over, by later usage."""
        if rolled is None:
            return max(0, self.granted - self.used - self.used_later)
        return max(0, rolled_over(self.granted - self.used, rolled, self.denominator) - self.used_later)

    def counted_in(self, denominator: int) -> "Bucket":
        """The same bucket, counted so finely that `1 / denominator` is a whole number."""
        if self.denominator % denominator == 0:
            return self
        finer = lcm(self.denominator, denominator)
        times = finer // self.denominator
        return Bucket(self.id, self.granted * times, finer, self.used * times, self.used_later * times)

    def less(self, count: int, *, later: bool) -> "Bucket":
        """The bucket after so much was drawn from it."""
        if later:
            return Bucket(self.id, self.granted, self.denominator, self.used, self.used_later + count)
        return Bucket(self.id, self.granted, self.denominator, self.used + count, self.used_later)


def grant(id: str, amount: Fraction) -> Bucket:
    """A full bucket."""
    return Bucket(id, amount.numerator, amount.denominator)


def rolled_over(left: int, rollover: Rollover, denominator: int = 1) -> int:
    """What of a remainder is there after its period: min(most, max(least, left))."""
    # In integers, for every usage asks: a product of fractions takes as long as all the rest.
    least, most = rollover.least, rollover.most
    kept = max(least.numerator * denominator // least.denominator, left)
    return kept if most is None else min(most.numerator * denominator // most.denominator, kept)


class Stock(NamedTuple):
    """A bucket as one usage may draw from it: what a step takes, and, when it rolled over into the usage's period, how.

    `is_whole`: one of its unit is taken, for all steps.
    """

    bucket: Bucket
    step_numerator: int = 1
    step_denominator: int = 1
    rolled: Rollover | None = None
    is_whole: bool = False


class Drawn(NamedTuple):
    """`place` is that of the stock among those that could be drawn from; `bucket` what it is now that `steps` were."""

    place: int
    bucket: Bucket
    steps: int


class Draw(NamedTuple):
    """What was drawn from which bucket, in order, and the steps that are `left_to_pay`."""

    drawn: list[Drawn]
    left_to_pay: int


def draw(stocks: Iterable[Stock], steps: int) -> Draw:
    """Draw steps from buckets in the order in which they come (BurnOrder), from each as many whole ones as it has."""
    drawn: list[Drawn] = []
    for place, stock in enumerate(stocks):
        if not steps:
            break
        bucket, taken = _take(stock, steps)
        if taken:
            drawn.append(Drawn(place, bucket, taken))
            steps -= taken
    return Draw(drawn, steps)


def _take(stock: Stock, steps: int) -> tuple[Bucket, int]:
    bucket, numerator, denominator, rolled, is_whole = stock
    bucket = bucket.counted_in(denominator)
    if rolled is not None:
        bucket = bucket.counted_in(rolled.denominator)
    # Whole: the denominator of the bucket is a multiple of that of the step.
    count_per_step = numerator * (bucket.denominator // denominator)
    taken = min(1 if is_whole else steps, bucket.left(rolled) // count_per_step)
    if is_whole and taken:
        return bucket.less(count_per_step, later=rolled is not None), steps
    return (bucket.less(taken * count_per_step, later=rolled is not None), taken) if taken else (bucket, 0)


class BurnOrder(NamedTuple):
    """Which of two buckets is drawn from first: the lesser in every respect that the one before it leaves open.

    Priority; expiry; 0 for what rolled over and burns first, 1 for a bucket of its own period, 2 for what rolled over and
    burns last; the allowance's id; the start of the bucket's period.
    """

    priority: int
    expires_at: datetime
    rank: int
    allowance_id: str
    granted_at: datetime
