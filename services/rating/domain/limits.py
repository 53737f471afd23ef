"""What a usage must be before anybody looks for its price: a sane quantity at a sane time."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from libs.contracts import QUANTITY_MAX, RejectionReason, UsageReceived

# Finer than any meter; and exact arithmetic with 1e-999999999 would take all memory.
QUANTITY_DECIMALS_MAX = 9


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """How far from now a usage may have started."""

    future_tolerance: timedelta
    age_max: timedelta

    def at(self, now: datetime) -> "Window":
        """The limits as instants."""
        return Window(now - self.age_max, now + self.future_tolerance, now)


@dataclass(frozen=True, slots=True)
class Window:
    """When a usage that arrives `now` may have started."""

    earliest: datetime
    latest: datetime
    now: datetime


Fault = tuple[RejectionReason, str]


def fault_of(usage: UsageReceived, window: Window) -> Fault | None:
    """Why the usage cannot be right, with what to do about it; None when it can."""
    if usage.started_at > window.latest:
        return RejectionReason.IN_THE_FUTURE, (
            f"it started at {usage.started_at.isoformat()} but arrived at {window.now.isoformat()}: "
            "mend the clock of the network element and discard it, or retry it when its time has come"
        )
    if usage.started_at < window.earliest:
        return RejectionReason.TOO_OLD, (
            f"it started at {usage.started_at.isoformat()}, too long before it arrived at {window.now.isoformat()}: "
            "raise USAGE_AGE_DAYS_MAX and retry it, or discard it"
        )
    return _quantity_fault(usage.quantity)


def _quantity_fault(quantity: Decimal) -> Fault | None:
    if quantity < 0:
        return (
            RejectionReason.NEGATIVE_QUANTITY,
            f"a quantity of {quantity:.6g} is negative: correct it at mediation under a new id, and discard this one",
        )
    if quantity > QUANTITY_MAX:
        return (
            RejectionReason.ABSURD_QUANTITY,
            f"a quantity of {quantity:.6g} is above {QUANTITY_MAX:.0E}: discard it",
        )
    if quantity == int(quantity):
        return None
    exponent = quantity.as_tuple().exponent
    if quantity and isinstance(exponent, int) and exponent < -QUANTITY_DECIMALS_MAX:
        return RejectionReason.ABSURD_QUANTITY, (
            f"a quantity of {quantity:.6g} has more than {QUANTITY_DECIMALS_MAX} decimals: "
            "round it at mediation and send it under a new id, and discard this one"
        )
    return None
