"""Accumulation: the rated usages of a batch become one increment per charge, exact to the last digit.

Numerators are added per denominator; nothing is divided or rounded before the cut. Where a price counts the month,
numerators are 0 and the quantity says it all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, localcontext

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
    with localcontext(_EXACT):
        for each in rated:
            charge, priced = each.charge, each.priced
            increment = increments.get(charge.id)
            if increment is None:
                increment = increments[charge.id] = Increment(charge)
            increment.usage_count += 1
            increment.quantity += priced.charged_quantity
            denominator = charge.price.denominator
            increment.sums[denominator] = increment.sums.get(denominator, 0) + priced.numerator
            if each.others:
                _add_others(each, increments)
    return increments


def _add_others(rated: Rated, increments: dict[str, Increment]) -> None:
    counted = {rated.charge.id}
    for charge, priced in zip(rated.others, rated.priced.others, strict=True):
        increment = increments.setdefault(charge.id, Increment(charge))
        increment.usage_count += charge.id not in counted
        increment.quantity += priced.charged_quantity
        increment.sums[priced.denominator] = increment.sums.get(priced.denominator, 0) + priced.numerator
        counted.add(charge.id)
