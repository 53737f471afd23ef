"""What a charge comes to: exactly, for whoever adds on, and as the line of a bill. The one arithmetic of cut, audit and gateway."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeState
from libs.money import (
    RoundingMode,
    divide_rounded,
    minor_unit_decimals,
    round_to_decimals,
    round_to_integer,
    round_to_minor_unit,
    sum_fractions,
)
from libs.pricing.tiers import tiers_amount


def exact_amount(charge: Charge) -> Fraction:
    """What its usages added up to, and what its tiers make of its quantity."""
    exact = sum_fractions(charge.sums)
    return exact if charge.tiers is None else exact + tiers_amount(charge.tiers, charge.quantity, charge.usage_count)


def line_amounts(charges: Sequence[Charge]) -> list[Decimal]:
    """The bill lines of the charges that one cut closes, in their order; one that an earlier cut returned keeps its amount.

    Where books round the bill, the exact amounts are added and their sum is rounded once. The lines add up to it, each rounded up or
    down: the largest remainders up. Books that round otherwise have sums of their own.
    """
    amounts: list[Decimal] = []
    sums: dict[tuple[str, RoundingMode, int], list[int]] = {}
    for position, charge in enumerate(charges):
        if charge.state is ChargeState.RETURNED and charge.amount is not None:
            amounts.append(charge.amount)
            continue
        amounts.append(line_amount(charge))
        if is_rounded_with_others(charge):
            sums.setdefault((charge.currency, *_how(charge)), []).append(position)
    for (currency, mode, decimals), positions in sums.items():
        exact = [exact_amount(charges[position]) * 10**decimals for position in positions]
        parts = divide_rounded(round_to_integer(sum(exact, Fraction(0)), mode), exact)
        for position, part in zip(positions, parts, strict=True):
            amounts[position] = round_to_minor_unit(Fraction(part, 10**decimals), currency)
    return amounts


def line_amount(charge: Charge) -> Decimal:
    """The rounding point of a bill line by itself: as the charge's book says, or else half up to the currency's minor unit."""
    exact = exact_amount(charge)
    if charge.line_rounding is None:
        return round_to_minor_unit(exact, charge.currency)
    mode, decimals = _how(charge)
    # With the currency's decimals, of which some may stay zero: 12.3 EUR is billed as 12.30.
    return round_to_minor_unit(round_to_decimals(exact, decimals, mode), charge.currency)


def is_rounded_with_others(charge: Charge) -> bool:
    """Whether its book rounds the sum of the lines of a cut."""
    return charge.line_rounding is not None and charge.line_rounding.point == "bill"


def _how(charge: Charge) -> tuple[RoundingMode, int]:
    """The mode and the decimals of a rounding that its book names."""
    rounding = charge.line_rounding
    assert rounding is not None, f"the book of charge {charge.id} names no rounding"
    return rounding.mode, minor_unit_decimals(charge.currency) if rounding.decimals is None else rounding.decimals
