"""Exact money: decimals in a currency's minor unit, and the one place where a fraction becomes one.

Amounts that are still being summed are exact fractions (`Fraction`); an amount that a customer sees is a `Decimal`
with exactly the currency's ISO 4217 decimals. `round_to_minor_unit` is the door from the first to the second, and `round_to_decimals`
where a rate book names another rounding; there is no third.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Context, Decimal, Inexact
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache
from math import lcm

from iso4217 import Currency

# What MongoDB stores has 34 digits; amounts of bills lie 30 digits before and behind the point.
DIGITS_MAX = 100
_EXACT = Context(prec=DIGITS_MAX, traps=[Inexact])


class RoundingMode(StrEnum):
    """What becomes of what is between two numbers. `up` is away from zero, `down` towards it; half_* ask so only for the middle."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    HALF_DOWN = "half_down"
    UP = "up"
    DOWN = "down"


class UnknownCurrency(ValueError):
    """The code is not an ISO 4217 currency with a minor unit."""


@lru_cache(maxsize=512)
def minor_unit_decimals(currency: str) -> int:
    """The number of decimals of an ISO 4217 currency: EUR 2, JPY 0, KWD 3."""
    try:
        exponent = Currency(currency).exponent
    except ValueError:
        raise UnknownCurrency(f"{currency!r} is not an ISO 4217 currency code") from None
    if exponent is None:
        raise UnknownCurrency(f"{currency!r} has no minor unit, so nothing can be billed in it")
    return exponent


def round_to_minor_unit(amount: Fraction | Decimal | int, currency: str) -> Decimal:
    """The rounding point of a bill line: half up (half away from zero) to the currency's decimals."""
    return round_to_decimals(amount, minor_unit_decimals(currency))


def round_to_decimals(amount: Fraction | Decimal | int, decimals: int, mode: RoundingMode = RoundingMode.HALF_UP) -> Decimal:
    """A rounding point whose decimals and mode a rate book names."""
    exact = amount if isinstance(amount, Fraction) else Fraction(amount)
    # In integers, of which most bills have as many as lines: a product of fractions looks for their common divisors.
    return _minor_units_to_decimal(_round_quotient(exact.numerator * 10**decimals, exact.denominator, mode), decimals)


def round_to_integer(value: Fraction, mode: RoundingMode) -> int:
    """The same rounding of what is counted in units of a decimal place already."""
    return _round_quotient(value.numerator, value.denominator, mode)


def to_minor_units(amount: Decimal, currency: str) -> int:
    """An amount that is rounded, in whole cents or what the currency has (AssertionError otherwise)."""
    numerator, denominator = amount.as_integer_ratio()
    units, rest = divmod(numerator * 10 ** minor_unit_decimals(currency), denominator)
    assert rest == 0, f"{amount} {currency} is not rounded"
    return units


def from_minor_units(units: int, currency: str) -> Decimal:
    """The amount of so many cents."""
    return _minor_units_to_decimal(units, minor_unit_decimals(currency))


def _round_quotient(numerator: int, denominator: int, mode: RoundingMode) -> int:
    magnitude, rest = divmod(abs(numerator), denominator)
    match mode:
        case RoundingMode.HALF_UP:
            goes_up = 2 * rest >= denominator
        case RoundingMode.HALF_DOWN:
            goes_up = 2 * rest > denominator
        case RoundingMode.HALF_EVEN:
            goes_up = 2 * rest + magnitude % 2 > denominator
        case RoundingMode.UP:
            goes_up = rest > 0
        case RoundingMode.DOWN:
            goes_up = False
    magnitude += goes_up
    return magnitude if numerator >= 0 else -magnitude


def divide_rounded(total: int, exact: Sequence[Fraction]) -> list[int]:
    """Round numbers of any sign so that they add up to `total`, their sum rounded up or down.

    Each is rounded up or down itself, by less than one: the largest remainders up, ties to the earlier part.
    """
    denominator = lcm(*(part.denominator for part in exact))
    return divide_numerators(total, [part.numerator * (denominator // part.denominator) for part in exact], denominator)


def divide_numerators(total: int, numerators: Sequence[int], denominator: int) -> list[int]:
    """The same for numbers over one denominator, in integers: many lines need no fraction each."""
    parts = [numerator // denominator for numerator in numerators]
    by_remainder = sorted(range(len(parts)), key=lambda index: (-(numerators[index] % denominator), index))
    for index in by_remainder[: total - sum(parts)]:
        parts[index] += 1
    return parts


def sum_exactly(amounts: Iterable[Decimal]) -> Decimal:
    """The sum of decimals, whatever the ambient context, which rounds at 28 digits. Raises decimal.Inexact beyond DIGITS_MAX."""
    total = Decimal(0)
    for amount in amounts:
        total = _EXACT.add(total, amount)
    return total


def sum_fractions(sums: Mapping[str, Decimal] | Mapping[str, int]) -> Fraction:
    """The exact value of a charge's running sums: numerators added per denominator, `{"6000": 1241}` = 1241/6000."""
    fractions = [Fraction(int(numerator), int(denominator)) for denominator, numerator in sums.items()]
    # Mostly there is one.
    return fractions[0] if len(fractions) == 1 else sum(fractions, Fraction(0))


def _minor_units_to_decimal(units: int, decimals: int) -> Decimal:
    # Built from digits: arithmetic in Decimal would depend on the ambient context's precision.
    return Decimal(f"{units}E-{decimals}")
