"""A charge that counts the month, or rounds its line, against the terms of its price."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.audit.domain.difference import Category, Difference
from libs.contracts import ChargeTiers, LineRounding
from libs.pricing import CompiledPrice


@dataclass(frozen=True, slots=True)
class CountingCharge:
    """By what a charge makes money of its quantity. `counted_before` is what earlier sequences of its month counted, of so many usages."""

    id: str
    tiers: ChargeTiers | None
    rounding: LineRounding | None
    counted_before: Decimal = Decimal(0)
    usage_count_before: int = 0


def same_tiers(stored: Mapping[str, Any] | None, tiers: ChargeTiers) -> bool:
    """Whether the same becomes of a quantity, wherever the counting began."""
    return stored is not None and _from_start(ChargeTiers.model_validate(stored)) == _from_start(tiers)


def check_terms(charge: CountingCharge, price: CompiledPrice) -> Iterator[Difference]:
    """A charge has the tiers and the rounding of its price, and late usage goes on counting unless its price says otherwise."""
    if charge.rounding != price.line_rounding:
        yield _of_terms(charge, f"rounding {price.line_rounding}", f"{charge.rounding}")
    if charge.tiers is None or price.tiers is None or _from_start(charge.tiers) != _from_start(price.tiers):
        if charge.tiers is not price.tiers:
            yield _of_terms(charge, f"tiers {price.tiers}", f"{charge.tiers}")
        return
    quantity, usage_count = (Decimal(0), 0) if price.late_restarts else (charge.counted_before, charge.usage_count_before)
    found = charge.tiers.counted_before, charge.tiers.usage_count_before
    # A charge that was opened before usages were counted has no count of them.
    if found not in ((quantity, usage_count), (quantity, None)):
        yield _of_terms(charge, f"{quantity} of {usage_count} usages counted before", f"{found[0]} of {found[1]}")


def _from_start(tiers: ChargeTiers) -> ChargeTiers:
    return tiers.model_copy(update={"counted_before": Decimal(0), "usage_count_before": None})


def _of_terms(charge: CountingCharge, expected: str, found: str) -> Difference:
    return Difference(category=Category.CHARGE_TERMS, id=charge.id, expected=expected, found=found)
