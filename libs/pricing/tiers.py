"""Prices that depend on a whole quantity: graduated (each tier its own price), volume (one tier prices all) and package (whole packs).

What is priced is the quantity of a month, or of one record where the book counts by the record: the same arithmetic, on fractions of
units and money for the month, on the integers of a compiled price for a record.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from libs.contracts import ChargeTiers

Number = Fraction | int


@dataclass(frozen=True, slots=True)
class ScaledTier:
    """`rate` is asked for each one of a quantity, after what is begun of `increment` is made whole."""

    up_to: Number | None
    increment: Number | None
    rate: Number
    flat: Number

    def amount(self, quantity: Number) -> Number:
        """What so much in this tier costs."""
        if self.increment is not None:
            quantity = -(-quantity // self.increment) * self.increment
        return self.flat + quantity * self.rate


@dataclass(frozen=True, slots=True)
class ScaledTiers:
    """Tiers in one scale of quantities and one of amounts."""

    is_volume: bool
    tiers: tuple[ScaledTier, ...]
    free: Number

    def amount(self, quantity: Number) -> Number:
        """What a quantity costs, counted from the start of the period."""
        return sum(amount for _, amount in self.parts(quantity))

    def parts(self, quantity: Number) -> Iterator[tuple[Number, Number]]:
        """How the amount comes about: the quantity and the amount of each tier that is reached."""
        counted = max(0, quantity - self.free)
        if self.is_volume:
            yield counted, self.holding(counted).amount(counted)
            return
        start: Number = 0
        for tier in self.tiers:
            end = counted if tier.up_to is None or counted < tier.up_to else tier.up_to
            yield end - start, tier.amount(end - start)
            if end == counted:
                return
            start = end

    def rescaled(self, finer: int, by: int) -> "ScaledTiers":
        """The same for quantities in steps that are finer, and amounts in numerators that are greater, so many times."""

        def steps(quantity: Number | None) -> Number | None:
            return None if quantity is None else quantity * finer

        tiers = (
            ScaledTier(steps(tier.up_to), steps(tier.increment), _whole(Fraction(tier.rate * by, finer)), tier.flat * by)
            for tier in self.tiers
        )
        return ScaledTiers(self.is_volume, tuple(tiers), self.free * finer)

    def holding(self, quantity: Number) -> ScaledTier:
        """The tier in which a quantity lies."""
        return next((tier for tier in self.tiers if tier.up_to is None or quantity <= tier.up_to), self.tiers[-1])


def scaled(tiers: ChargeTiers, *, steps_per_unit: int = 1, numerators_per_amount: int = 1) -> ScaledTiers:
    """The tiers for quantities in steps and amounts in numerators; by default in units and in money."""

    def steps(quantity: Decimal) -> Number:
        return _whole(Fraction(quantity) * steps_per_unit)

    return ScaledTiers(
        is_volume=tiers.model == "volume",
        tiers=tuple(
            ScaledTier(
                up_to=None if tier.up_to is None else steps(tier.up_to),
                increment=None if tier.increment is None else steps(tier.increment),
                rate=_whole(Fraction(tier.amount) / Fraction(tier.per) * Fraction(numerators_per_amount, steps_per_unit)),
                flat=_whole(Fraction(tier.flat) * numerators_per_amount),
            )
            for tier in tiers.tiers
        ),
        free=steps(tiers.free_quantity),
    )


def tiers_amount(tiers: ChargeTiers, quantity: Decimal, usage_count: int = 1) -> Fraction:
    """What the quantity of some usages costs after what was counted before: what both cost together, less what the earlier one cost.

    The flat amount of the first tier is due even for usages of nothing, and goes when all usages are taken back. What comes later may cost
    less than nothing, where a volume price reaches a cheaper tier.
    """
    of_month, before = scaled(tiers), Fraction(tiers.counted_before)
    count_before = tiers.usage_count_before
    if count_before is None:
        # Opened before usages were counted: whether any came before, and whether any are left, shows in their quantity alone.
        count_before, usage_count = 0, 0 if before else usage_count

    def cost(counted: Fraction, count: int) -> Number:
        return of_month.amount(counted) if counted or count > 0 else 0

    return Fraction(cost(before + Fraction(quantity), count_before + usage_count) - cost(before, count_before))


def volume_amount(tiers: ChargeTiers, counted: Decimal, priced: Decimal) -> Fraction:
    """A volume price where another count than what is priced picks the tier, as when units are prorated."""
    return Fraction(scaled(tiers).holding(Fraction(counted)).amount(Fraction(priced)))


def _whole(number: Fraction) -> Number:
    """As an integer where it is one: these are much faster."""
    return number.numerator if number.denominator == 1 else number
