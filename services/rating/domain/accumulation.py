"""Accumulation: the rated usages of a batch become one increment per charge, exact to the last digit.

Numerators are added per denominator; nothing is divided or rounded before the cut. Where a price counts the month,
numerators are 0 and the quantity says it all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact

from libs.pricing import PricedUsage
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
    """The increments by charge id. A usage that was split counts in each of its charges, once."""
    increments: dict[str, Increment] = {}
    for each in rated:
        if each.others:
            counted = set()
            for charge, priced in each.parts:
                _add(increments, charge, priced, 0 if charge.id in counted else 1)
                counted.add(charge.id)
        else:
            _add(increments, each.charge, each.priced, 1)
    return increments


def _add(increments: dict[str, Increment], charge: UsageCharge, priced: PricedUsage, usage_count: int) -> None:
    increment = increments.get(charge.id)
    if increment is None:
        increment = increments[charge.id] = Increment(charge)
    increment.usage_count += usage_count
    increment.quantity = _EXACT.add(increment.quantity, priced.charged_quantity)
    denominator = priced.price.denominator
    increment.sums[denominator] = increment.sums.get(denominator, 0) + priced.numerator
