"""Which percentages of an amount a month's charges have reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from libs.contracts.adjustments import Thresholds


@dataclass(frozen=True, slots=True)
class Crossing:
    """A percentage that was reached, and the amount that it stands for."""

    percent: int
    amount: Fraction


def crossings(thresholds: Thresholds, before: Fraction | Decimal, after: Fraction | Decimal) -> Sequence[Crossing]:
    """The thresholds between two sums of a month's charges in scope: not reached before, reached now. A falling sum reaches none."""
    levels = [Crossing(percent, Fraction(thresholds.amount) * percent / 100) for percent in thresholds.percents]
    return [level for level in levels if Fraction(before) < level.amount <= Fraction(after)]
