"""What is left of a product's charges while one adjustment after the other takes its part.

The exact rest is kept beside the minor units that are billed. An adjustment takes the difference of two rounded rests, so that
percentages taken one after the other come to the same whatever their order, and no sum of charges falls below nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeKind
from libs.contracts.adjustments import AdjustmentScope
from libs.money import RoundingMode, divide_numerators, round_to_decimals, to_minor_units
from libs.periods import local_date


@dataclass(frozen=True, slots=True)
class SummedLine:
    """A closed charge, as adjustments see it. `first_day` is when its time begins, in the account's zone; `amount` is rounded."""

    price_id: str
    kind: ChargeKind
    tax_category: str | None
    amount: Decimal
    first_day: date
    is_tax_included: bool = False

    @classmethod
    def of(cls, charge: Charge, zone_name: str) -> "SummedLine":
        """A charge, closed (AssertionError otherwise). The time of a correction begins with the fee that it corrects."""
        assert charge.amount is not None, f"charge {charge.id} is adjusted before it is closed"
        first_day = local_date(charge.corrected_from or charge.period.start, zone_name)
        return cls(charge.price_id, charge.kind, charge.tax_category, charge.amount, first_day, charge.is_tax_included)


@dataclass(frozen=True, slots=True)
class Remainder:
    """What is left of a line, exactly and in whole minor units."""

    line: SummedLine
    exact: Fraction
    units: int

    @classmethod
    def of(cls, line: SummedLine, currency: str) -> "Remainder":
        """All of a line. Its amount is in minor units (AssertionError otherwise)."""
        units = to_minor_units(line.amount, currency)
        return cls(line, Fraction(units), units)


def take_off(remainders: Sequence[Remainder], positions: Sequence[int], wanted: Callable[[Fraction], Fraction]) -> list[Remainder]:
    """What is left after taking what is `wanted` of the sum of these positions, in minor units, and at most that sum.

    Each line bears its share of it, by the largest remainder. Credits bear a share as well: they become smaller.
    """
    left = list(remainders)
    billed = sum(remainders[position].units for position in positions)
    subtotal = sum((remainders[position].exact for position in positions), Fraction(0))
    if billed <= 0 or subtotal <= 0:
        return left
    taken = min(max(wanted(subtotal), Fraction(0)), subtotal)
    units = max(0, billed - rounded_rest(subtotal - taken))
    kept = 1 - taken / subtotal
    shares = divide_numerators(units, [units * remainders[position].units for position in positions], billed)
    for position, share in zip(positions, shares, strict=True):
        before = remainders[position]
        left[position] = Remainder(before.line, before.exact * kept, before.units - share)
    return left


def rounded_rest(exact: Fraction) -> int:
    """A rest in whole minor units: half down, so that what is taken is half up, as 50 % of 6.67 is 3.34."""
    return int(round_to_decimals(exact, 0, RoundingMode.HALF_DOWN))


def in_scope(line: SummedLine, scope: AdjustmentScope) -> bool:
    """Whether a charge counts. What re-rating corrects is usage."""
    if scope.price_ids:
        return line.price_id in scope.price_ids
    kind = ChargeKind.USAGE if line.kind is ChargeKind.ADJUSTMENT else line.kind
    return not scope.kinds or kind in scope.kinds
