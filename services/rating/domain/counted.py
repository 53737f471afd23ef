"""The usage that charges of a month counted, from which the next charge of the same tiers goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from libs.contracts import ChargeTiers
from libs.money import sum_exactly


@dataclass(frozen=True, slots=True)
class Counted:
    """The quantity of usages and their count. Usages of quantity 0 show in the count alone."""

    quantity: Decimal = Decimal(0)
    usage_count: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(sum_exactly([self.quantity, other.quantity]), self.usage_count + other.usage_count)


NOTHING_COUNTED = Counted()


def add_counted(counted: Iterable[Counted]) -> Counted:
    """Return the sum."""
    return sum(counted, NOTHING_COUNTED)


def tiers_after(tiers: ChargeTiers, counted: Counted) -> ChargeTiers:
    """Return the tiers after so much more was counted."""
    usage_count = tiers.usage_count_before
    if usage_count is None and not tiers.counted_before:
        usage_count = 0
    return tiers.model_copy(
        update={
            "counted_before": sum_exactly([tiers.counted_before, counted.quantity]),
            # A charge that does not say how many came before it tells nothing of what came before its correction either.
            "usage_count_before": None if usage_count is None else usage_count + counted.usage_count,
        }
    )
