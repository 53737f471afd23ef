"""Accumulation: the rated usages of a batch become one increment per charge, exact to the last digit.

Numerators are added per denominator; nothing is divided or rounded before the cut.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact

from services.rating.domain.deciding import Rated, UsageCharge

# The ambient context rounds at 28 digits; this one never does.
_EXACT = Context(prec=60, traps=[Inexact])


@dataclass(slots=True)
class Increment:
    """What a batch adds to a charge, which may be new."""

    charge: UsageCharge
    usage_count: int = 0
    quantity: Decimal = Decimal(0)
    sums: dict[int, int] = field(default_factory=dict)


def accumulate(rated: Iterable[Rated]) -> dict[str, Increment]:
    """The increments by charge id."""
    increments: dict[str, Increment] = {}
    for each in rated:
        charge, priced = each.charge, each.priced
        increment = increments.get(charge.id)
        if increment is None:
            increment = increments[charge.id] = Increment(charge)
        increment.usage_count += 1
        increment.quantity = _EXACT.add(increment.quantity, priced.charged_quantity)
        denominator = charge.price.denominator
        increment.sums[denominator] = increment.sums.get(denominator, 0) + priced.numerator
    return increments
