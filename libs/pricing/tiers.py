"""Prices that depend on a whole quantity: graduated (each tier its own price), volume (one tier prices all) and package (whole packs).

What is priced is the quantity of a month, or of one record where the book counts by the record; it is the same arithmetic.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from libs.contracts import ChargeTiers, Tier

NOTHING = Fraction(0)


def tiers_amount(tiers: ChargeTiers, quantity: Decimal) -> Fraction:
    """What a quantity costs after `counted_before`: what both cost together, less what the earlier one cost.

    The flat amount of the first tier is due even for nothing. What comes later may cost less than nothing, where a volume price reaches
    a cheaper tier.
    """
    before = Fraction(tiers.counted_before)
    whole = _amount_from_start(tiers, before + Fraction(quantity))
    return whole - _amount_from_start(tiers, before) if before else whole


def tier_amounts(tiers: ChargeTiers, quantity: Fraction) -> list[tuple[Tier, Fraction, Fraction]]:
    """How the amount comes about, counted from the start of the period: tiers with the quantity and the amount of each."""
    counted = max(NOTHING, quantity - Fraction(tiers.free_quantity))
    if tiers.model == "volume":
        tier = _tier_holding(tiers.tiers, counted)
        return [(tier, counted, _of_tier(tier, counted))]
    amounts: list[tuple[Tier, Fraction, Fraction]] = []
    start = NOTHING
    for tier in tiers.tiers:
        if counted <= start and amounts:
            break
        end = counted if tier.up_to is None else min(counted, Fraction(tier.up_to))
        amounts.append((tier, end - start, _of_tier(tier, end - start)))
        start = end
    return amounts


def volume_amount(tiers: ChargeTiers, counted: Decimal, priced: Decimal) -> Fraction:
    """A volume price where another count than what is priced picks the tier, as when units are prorated."""
    return _of_tier(_tier_holding(tiers.tiers, Fraction(counted)), Fraction(priced))


def _amount_from_start(tiers: ChargeTiers, quantity: Fraction) -> Fraction:
    return sum((amount for _, _, amount in tier_amounts(tiers, quantity)), NOTHING)


def _of_tier(tier: Tier, quantity: Fraction) -> Fraction:
    if tier.increment is not None:
        block = Fraction(tier.increment)
        quantity = -(-quantity // block) * block
    return Fraction(tier.flat) + quantity * Fraction(tier.amount) / Fraction(tier.per)


def _tier_holding(tiers: Sequence[Tier], quantity: Fraction) -> Tier:
    return next((tier for tier in tiers if tier.up_to is None or quantity <= Fraction(tier.up_to)), tiers[-1])
