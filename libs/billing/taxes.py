"""Taxes, each computed once on the whole bill and then divided over its lines.

A line may bear several taxes, and one tax may be levied on others (`on`). What a line bears is exact until the one rounding
of each tax; the lines' shares are rounded down or up from their own exact tax by the largest remainder, so they add up to the
bill's tax and none is a whole minor unit off. Credits (negative lines) lower it. Of a line whose price includes the
taxes, they are taken out: its shares and what is left without tax add up to the price.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import lcm

from libs.contracts import AppliedTax
from libs.money import divide_numerators, from_minor_units, minor_unit_decimals, round_to_minor_unit, sum_exactly, to_minor_units


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax by the name that the bill gives it. `on` names earlier taxes of the same line that are taxed as well."""

    category: str
    rate: Decimal
    on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaxedAmount:
    """A line's amount in minor units of the bill's currency, and the taxes that it bears, in the order in which they are levied."""

    amount: Decimal
    taxes: tuple[Tax, ...]
    is_tax_included: bool = False


@dataclass(frozen=True, slots=True)
class Levy:
    """`items` has each tax once, sorted by name; `shares` has what each line bears, and `net_amounts` its amount without tax."""

    items: tuple[AppliedTax, ...]
    shares: tuple[tuple[AppliedTax, ...], ...]
    net_amounts: tuple[Decimal, ...]


def levy_taxes(lines: Sequence[TaxedAmount], currency: str) -> Levy:
    """The taxes of a bill's lines."""
    units_per_one = 10 ** minor_unit_decimals(currency)
    units = [to_minor_units(line.amount, currency) for line in lines]
    bearing: dict[Tax, list[tuple[int, Fraction]]] = {}
    for position, line in enumerate(lines):
        for tax, factor in zip(line.taxes, _factors(line.taxes, line.is_tax_included), strict=True):
            bearing.setdefault(tax, []).append((position, factor))
    items: list[AppliedTax] = []
    shares: list[dict[Tax, AppliedTax]] = [{} for _ in lines]
    for tax in sorted(bearing, key=lambda tax: (tax.category, tax.rate, tax.on)):
        # Whole minor units times the factors' numerators: exact integers, over one denominator for all.
        denominator = lcm(*(factor.denominator for _, factor in bearing[tax]))
        numerators = [units[position] * factor.numerator * (denominator // factor.denominator) for position, factor in bearing[tax]]
        amount = round_to_minor_unit(Fraction(sum(numerators), denominator * units_per_one), currency)
        items.append(_applied(tax, amount))
        parts = divide_numerators(to_minor_units(amount, currency), numerators, denominator)
        for (position, _), part in zip(bearing[tax], parts, strict=True):
            shares[position][tax] = _applied(tax, from_minor_units(part, currency))
    in_order = tuple(tuple(shares[position][tax] for tax in line.taxes) for position, line in enumerate(lines))
    return Levy(tuple(items), in_order, tuple(map(_net_amount, lines, in_order)))


def exact_taxes(line: TaxedAmount) -> tuple[Fraction, ...]:
    """What a line bears of each of its taxes before any rounding, tax on tax included."""
    return tuple(Fraction(line.amount) * factor for factor in _factors(line.taxes, line.is_tax_included))


@lru_cache(maxsize=1024)
def _factors(taxes: tuple[Tax, ...], is_tax_included: bool) -> tuple[Fraction, ...]:
    by_name: dict[str, Fraction] = {}
    for tax in taxes:
        base = 1 + sum((by_name[name] for name in tax.on), Fraction(0))
        by_name[tax.category] = base * Fraction(tax.rate) / 100
    whole = 1 + sum(by_name.values(), Fraction(0)) if is_tax_included else Fraction(1)
    return tuple(by_name[tax.category] / whole for tax in taxes)


def _applied(tax: Tax, amount: Decimal) -> AppliedTax:
    return AppliedTax(category=tax.category, rate=tax.rate, amount=amount, on=tax.on)


def _net_amount(line: TaxedAmount, shares: Sequence[AppliedTax]) -> Decimal:
    return sum_exactly([line.amount, *(-share.amount for share in shares)]) if line.is_tax_included else line.amount
