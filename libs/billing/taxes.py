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
    units_per_one = 10 ** minor_unit_decimals(currency)
    items = []
    shares: dict[int, AppliedTax] = {}
    for category in sorted({taxable.category for taxable in taxables}):
        rate = Fraction(rates[category]) / 100
        positions = [position for position, taxable in enumerate(taxables) if taxable.category == category]
        # Whole minor units times the rate's numerator: exact integers, over one denominator for all.
        numerators = [int(Fraction(taxables[position].amount) * units_per_one) * rate.numerator for position in positions]
        tax = round_to_minor_unit(Fraction(sum(numerators), rate.denominator * units_per_one), currency)
        items.append(AppliedTax(category=category, rate=rates[category], amount=tax))
        parts = divide_rounded(int(Fraction(tax) * units_per_one), numerators, rate.denominator)
        for position, units in zip(positions, parts, strict=True):
            amount = round_to_minor_unit(Fraction(units, units_per_one), currency)
            shares[position] = AppliedTax(category=category, rate=rates[category], amount=amount)
    return Taxes(tuple(items), tuple(shares[position] for position in range(len(taxables))))


def divide_rounded(total: int, numerators: Sequence[int], denominator: int) -> list[int]:
    """Round fractions of any sign to integers so that they add up to `total`, the rounded sum of the exact ones.

    Every part is rounded down or up by less than one: the floor of the sum lies at or above the sum of the floors, its
    ceiling at or below the sum of the ceilings. Ties go to the earlier part.
    """
    parts = [numerator // denominator for numerator in numerators]
    missing = total - sum(parts)
    by_remainder = sorted(range(len(parts)), key=lambda index: (-(numerators[index] % denominator), index))
    for index in by_remainder[:missing]:
        parts[index] += 1
    return parts
