"""Tax, computed once per category on the whole bill and then divided over its lines.

Rounding happens once per category; the lines' shares are rounded down or up from their own exact tax by the largest
remainder, so they add up to the category's tax and none is a whole minor unit off. Credits (negative lines) lower it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from libs.contracts import AppliedTax
from libs.money import minor_unit_decimals, round_to_minor_unit


@dataclass(frozen=True, slots=True)
class Taxable:
    """An amount without tax, in minor units of the bill's currency, and the category that taxes it."""

    category: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Taxes:
    """`items` has one tax per category, sorted by name; `shares` has each taxable's share, in its order."""

    items: tuple[AppliedTax, ...]
    shares: tuple[AppliedTax, ...]


def compute_taxes(taxables: Sequence[Taxable], rates: Mapping[str, Decimal], currency: str) -> Taxes:
    """Tax of a bill's lines. `rates` must know every category (KeyError otherwise)."""
    items = []
    shares: list[AppliedTax | None] = [None] * len(taxables)
    for category in sorted({taxable.category for taxable in taxables}):
        rate = rates[category]
        positions = [position for position, taxable in enumerate(taxables) if taxable.category == category]
        exact = [Fraction(taxables[position].amount) * Fraction(rate) / 100 for position in positions]
        tax = round_to_minor_unit(sum(exact, Fraction(0)), currency)
        items.append(AppliedTax(category=category, rate=rate, amount=tax))
        for position, amount in zip(positions, divide_rounded(tax, exact, currency), strict=True):
            shares[position] = AppliedTax(category=category, rate=rate, amount=amount)
    return Taxes(tuple(items), tuple(share for share in shares if share is not None))


def divide_rounded(total: Decimal, exact_parts: Sequence[Fraction], currency: str) -> list[Decimal]:
    """Round parts of any sign to minor units so that they add up to `total`, the rounded sum of the exact ones.

    Every part is rounded down or up by less than one minor unit: floor of the sum lies at or above the sum of the
    floors, ceiling of the sum at or below the sum of the ceilings. Ties go to the earlier part.
    """
    scale = 10 ** minor_unit_decimals(currency)
    exact = [part * scale for part in exact_parts]
    units = [part.numerator // part.denominator for part in exact]
    missing = int(Fraction(total) * scale) - sum(units)
    by_remainder = sorted(range(len(units)), key=lambda index: (units[index] - exact[index], index))
    for index in by_remainder[:missing]:
        units[index] += 1
    return [round_to_minor_unit(Fraction(unit, scale), currency) for unit in units]
