"""What charges of a month counted, from which another one of the same tiers goes on."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from libs.contracts import ChargeTiers
from libs.money import sum_exactly


@dataclass(frozen=True, slots=True)
class Counted:
    """The quantity of some usages, and how many they are: where all were of nothing, only their count tells that they came."""

    quantity: Decimal = Decimal(0)
    usage_count: int = 0

    def __add__(self, other: "Counted") -> "Counted":
        return Counted(sum_exactly([self.quantity, other.quantity]), self.usage_count + other.usage_count)


NOTHING_COUNTED = Counted()


def add_counted(counted: Iterable[Counted]) -> Counted:
    """All of it together."""
    return sum(counted, NOTHING_COUNTED)


def tiers_after(tiers: ChargeTiers, counted: Counted) -> ChargeTiers:
    """The tiers when so much more was counted before."""
    usage_count = tiers.usage_count_before
    if usage_count is None and not tiers.counted_before:
        usage_count = 0
    return tiers.model_copy(
        update={
            "counted_before": sum_exactly([tiers.counted_before, counted.quantity]),
            # Of a charge that does not say how many came before it, nobody knows how many come before what corrects it.
            "usage_count_before": None if usage_count is None else usage_count + counted.usage_count,
        }
    )
