"""A usage price in integers, and a usage priced by it.

amount = set-up fee + charged quantity x price / per, as one fraction with a denominator that is constant per price:
10**(decimals of price or fee) x per x 10**(decimals of increments). Nothing is rounded, unless the book rounds each record.

A charged quantity is a number of *steps*, of `10**-decimals` of the unit. Where one record has several prices (custom steps), they
lie on it one after the other: `rungs`. What record-wide terms (minimum, maximum, rounding) make of an amount is in `settled`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING as CEILING
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace as changed

from libs.contracts import QUANTITY_MAX, ChargeTiers, LineRounding, UsageReceived
from libs.money import divide_rounded, round_to_integer
from libs.pricing.tiers import ScaledTiers
from libs.pricing.usage_price import RecordRounding

# A charge adds numerators in 34 digits (Decimal128): this leaves room for ten thousand usages of the greatest quantity.
NUMERATOR_MAX = 10**30
# Usage with this characteristic goes on with a session whose set-up fee is paid.
CONTINUATION = "continuation"
CONTINUES = "true"
# Rescaled prices: those of usages that are split, one for each combination of prices that are met in one usage.
RESCALED_REMEMBERED_MAX = 10_000

# Rounding up first to so many digits and then to a whole number is the same as rounding up once.
_UP = Context(prec=100, rounding=CEILING)


@dataclass(frozen=True, slots=True)
class Rung:
    """One of the steps of a record, from `start` to `end` (None: without end) of its quantity, in steps of the price.

    Its quantity is rounded up to its own increments, so it may be charged for more than lies in it: it is `charged` from and to there.
    """

    start: int
    end: int | None
    first: int
    then: int
    numerator_per_step: int
    charged_start: int

    def charged_in(self, steps: int) -> int:
        """What of a quantity is charged in this rung, rounded up."""
        inside = (steps if self.end is None else min(steps, self.end)) - self.start
        return _rounded_up(inside, self.first, self.then) if inside > 0 else 0


@dataclass(frozen=True, slots=True, eq=False)
class CompiledPrice:
    """A usage price in integers. Quantities are counted in steps of `10**-decimals` of the unit.

    `tiers` is set where the month is counted: then a usage owes no more than its set-up fee by itself, and the charge what `tiers`
    make of its quantity. `exact_denominator` is that of amounts before a record's rounding, which mostly there is none.
    What most prices are is said in advance: `is_plain` when a quantity costs so much per step and the set-up fee, `is_proportional`
    when there is no fee either; `is_uneven` when a quantity is not just rounded up (free seconds, custom steps).
    `is_abroad` tells usage at home from usage abroad; None in books that do not. Prices are compared by identity: they are compiled once.
    """

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
    exact_denominator: int
    is_plain: bool
    is_proportional: bool
    is_uneven: bool
    splits: bool = False
    tiers: ChargeTiers | None = None
    late_restarts: bool = False
    line_rounding: LineRounding | None = None
    is_tax_included: bool = False
    record_tiers: ScaledTiers | None = None
    rungs: tuple[Rung, ...] = ()
    free_steps: int = 0
    minimum: int | None = None
    maximum: int | None = None
    record_rounding: RecordRounding | None = None
    is_abroad: bool | None = None

    def price(self, usage: UsageReceived) -> "PricedUsage":
        """Price a usage of this price's unit, whose quantity is between zero and QUANTITY_MAX."""
        steps = self.charged_steps(usage.quantity)
        quantity = Decimal(steps).scaleb(-self.decimals, _UP) if self.decimals else Decimal(steps)
        if self.is_proportional:
            return PricedUsage(self, quantity, steps * self.numerator_per_step)
        continued = self.setup_numerator > 0 and usage.characteristics.get(CONTINUATION) == CONTINUES
        return PricedUsage(self, quantity, self.numerator(steps, continued=continued), continued)

    def charged_steps(self, quantity: Decimal) -> int:
        """The quantity less what is free, rounded up to its increments; nothing for nothing."""
        if self.decimals:
            quantity = _UP.scaleb(quantity, self.decimals)
        steps = int(quantity)
        if steps != quantity:
            steps += 1
        if self.is_uneven:
            steps = max(0, steps - self.free_steps)
            if self.rungs:
                return sum(rung.charged_in(steps) for rung in self.rungs)
        if steps <= self.first:
            return self.first if steps else 0
        if self.then == 1:
            return steps
        return self.first - (self.first - steps) // self.then * self.then

    def numerator(self, steps: int, covered: int = 0, *, continued: bool = False) -> int:
        """What so many charged steps cost when an allowance pays `covered` of them; all of them covered cost nothing at all.

        What is left is priced as if it were all, from the first of the record's steps. A continuation pays no set-up fee.
        """
        left = steps - covered
        if left <= 0:
            return 0
        numerator = self.unsettled(0, left)
        if not continued:
            numerator += self.setup_numerator
        return numerator if self.is_plain else self.settled([numerator])[0]

    def unsettled(self, start: int, end: int) -> int:
        """What the charged steps from `start` to `end` of a record cost, over `exact_denominator`; without fee, limits and rounding."""
        if self.rungs:
            return self._of_rungs(end) - self._of_rungs(start)
        if self.record_tiers is None:
            return (end - start) * self.numerator_per_step
        if self.record_tiers.is_volume:
            return self._of_record_tiers(end - start)
        return self._of_record_tiers(end) - self._of_record_tiers(start)

    def unsettled_stretches(self, stretches: Sequence[tuple[int, int]]) -> int:
        """What several stretches of one record cost together: a volume price finds one tier for all of them, with one flat amount."""
        if self.record_tiers is not None and self.record_tiers.is_volume:
            return self._of_record_tiers(sum(end - start for start, end in stretches))
        return sum(self.unsettled(*stretch) for stretch in stretches)

    def settled(self, numerators: Sequence[int]) -> list[int]:
        """The amounts of the parts of one record, over `exact_denominator`, as its limits and its rounding leave them, over `denominator`.

        What lacks to the minimum goes to the first part, what exceeds the maximum is taken from the last ones; a rounded sum is split by
        the largest remainder.
        """
        parts = list(numerators)
        if self.minimum is not None:
            parts[0] += max(0, self.minimum - sum(parts))
        if self.maximum is not None:
            left = self.maximum
            for position, part in enumerate(parts):
                parts[position] = min(part, left)
                left -= parts[position]
        if self.record_rounding is None:
            return parts
        exact = [Fraction(part * self.denominator, self.exact_denominator) for part in parts]
        return divide_rounded(round_to_integer(sum(exact, Fraction(0)), self.record_rounding.mode), exact)

    def to_quantity(self, steps: int) -> Decimal:
        """So many steps in the unit."""
        return Decimal(steps).scaleb(-self.decimals, _UP)

    def _of_rungs(self, steps: int) -> int:
        total = 0
        for rung, after in zip(self.rungs, (*self.rungs[1:], None), strict=True):
            if steps <= rung.charged_start:
                break
            end = steps if after is None else min(steps, after.charged_start)
            total += (end - rung.charged_start) * rung.numerator_per_step
        return total

    def _of_record_tiers(self, steps: int) -> int:
        if not steps:
            return 0
        assert self.record_tiers is not None
        numerator = self.record_tiers.amount(steps)
        assert isinstance(numerator, int), f"{self.price_id}: {self.exact_denominator} does not hold {numerator}"
        return numerator


class PricedUsage(Struct, frozen=True, gc=False):
    """The exact amount is `numerator / denominator` in `currency`, not rounded; `charged_quantity` counts the price's units.

    A usage that was split has its further parts in `others`, all with the same denominator: its amount is that of all `parts`.
    `stretches` are then the charged steps of the whole usage that fall to this part. `continued`: no set-up fee is due.

    A struct, and what is the same for every usage of a price only in the price: there is one of these for each usage.
    """

    price: CompiledPrice
    charged_quantity: Decimal
    numerator: int
    continued: bool = False
    others: tuple["PricedUsage", ...] = ()
    stretches: tuple[tuple[int, int], ...] = ()

    @property
    def price_id(self) -> str:
        """Which price of the book it is."""
        return self.price.price_id

    @property
    def denominator(self) -> int:
        """The same for every usage of the price that is not split, so that a charge adds few distinct ones."""
        return self.price.denominator

    @property
    def currency(self) -> str:
        """The currency of the price."""
        return self.price.currency

    @property
    def rate_book(self) -> str:
        """The id of the book that has the price."""
        return self.price.rate_book

    @property
    def parts(self) -> tuple["PricedUsage", ...]:
        """This one, and those after it."""
        return (self, *self.others)

    @property
    def amount(self) -> Fraction:
        """What all parts cost together, exactly."""
        return Fraction(self.numerator + sum(other.numerator for other in self.others), self.denominator)

    @property
    def steps(self) -> int:
        """The charged quantity of this part in steps of its price."""
        return int(_UP.scaleb(self.charged_quantity, self.price.decimals))

    def covered(self, steps: Sequence[int]) -> "PricedUsage":
        """The same usage when allowances pay the first so many charged steps of each part: what is left is charged as if it were all."""
        if not self.others:
            left = self.steps - steps[0]
            numerator = self.price.numerator(left, continued=self.continued)
            return changed(self, charged_quantity=self.price.to_quantity(left), numerator=numerator)
        left_over: list[tuple[CompiledPrice, list[tuple[int, int]]]] = [(part.price, []) for part in self.parts]
        uncovered = list(steps)
        at = 0
        for start, end, position in sorted((*stretch, position) for position, part in enumerate(self.parts) for stretch in part.stretches):
            paid = min(uncovered[position], end - start)
            uncovered[position] -= paid
            if paid < end - start:
                left_over[position][1].append((at, at + end - start - paid))
                at += end - start - paid
        return settle(left_over, continued=self.continued)


def settle(parts: Sequence[tuple[CompiledPrice, Sequence[tuple[int, int]]]], *, continued: bool) -> PricedUsage:
    """Price the parts of one usage: prices of one scale, each with the charged steps that fall to it.

    What concerns the record as a whole, its set-up fee, limits and rounding, is as the first price says.
    """
    whole = parts[0][0]
    numerators = [price.unsettled_stretches(stretches) for price, stretches in parts]
    charged = [sum(end - start for start, end in stretches) for _, stretches in parts]
    if any(charged):
        if not continued:
            numerators[0] += whole.setup_numerator
        numerators = whole.settled(numerators)
    priced = [
        PricedUsage(price, price.to_quantity(steps), numerator, continued, stretches=tuple(stretches))
        for (price, stretches), steps, numerator in zip(parts, charged, numerators, strict=True)
    ]
    return changed(priced[0], others=tuple(priced[1:]))


@lru_cache(RESCALED_REMEMBERED_MAX)
def rescaled(price: CompiledPrice, decimals: int, exact_denominator: int, denominator: int) -> CompiledPrice:
    """The same price in finer steps and over a common denominator, which `exact_denominator` is a multiple of."""
    finer = 10 ** (decimals - price.decimals)
    by = exact_denominator // price.exact_denominator
    assert exact_denominator % (price.exact_denominator * finer) == 0, f"{exact_denominator} is no scale for {price.price_id}"

    return replace(
        price,
        decimals=decimals,
        first=price.first * finer,
        then=price.then * finer,
        free_steps=price.free_steps * finer,
        rungs=tuple(
            Rung(
                start=rung.start * finer,
                end=None if rung.end is None else rung.end * finer,
                first=rung.first * finer,
                then=rung.then * finer,
                numerator_per_step=rung.numerator_per_step * by // finer,
                charged_start=rung.charged_start * finer,
            )
            for rung in price.rungs
        ),
        numerator_per_step=price.numerator_per_step * by // finer,
        setup_numerator=price.setup_numerator * by,
        minimum=None if price.minimum is None else price.minimum * by,
        maximum=None if price.maximum is None else price.maximum * by,
        record_tiers=None if price.record_tiers is None else price.record_tiers.rescaled(finer, by),
        exact_denominator=exact_denominator,
        denominator=denominator,
        is_plain=price.is_plain and denominator == exact_denominator,
        is_proportional=price.is_proportional and denominator == exact_denominator,
    )


def greatest_numerator(price: CompiledPrice) -> int:
    """The numerator of a usage of the greatest quantity that is priced at all."""
    return max(price.numerator(price.charged_steps(QUANTITY_MAX)), price.minimum or 0)


def _rounded_up(steps: int, first: int, then: int) -> int:
    return first if steps <= first else first - (first - steps) // then * then
