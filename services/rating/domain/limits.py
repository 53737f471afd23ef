"""What a usage must be before anybody looks for its price: a plausible quantity at a plausible time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.contracts import RejectionReason, UsageReceived
from libs.pricing.intake import Intake, NumberReader, is_e164

Fault = tuple[RejectionReason, str]
# What an operator does about a quantity that cannot be right.
REMEDIES = {
    RejectionReason.NEGATIVE_QUANTITY: "correct it at mediation under a new id, and discard this one",
    RejectionReason.ABSURD_QUANTITY: "correct it at mediation under a new id, and discard this one",
    RejectionReason.BEYOND_LIMITS: (
        "discard it; or, if it is right, release it with `tarifa suspense retry --beyond-limits --note WHY ID`, "
        "or raise USAGE_LIMITS and retry it"
    ),
}


@dataclass(frozen=True, slots=True)
class UsageLimits:
    """How far from now a usage may have started, and how much of what it may be."""

    future_tolerance: timedelta
    age_max: timedelta
    intake: Intake = field(default_factory=Intake)

    def at(self, now: datetime) -> "Window":
        """The limits as instants."""
        return Window(now - self.age_max, now + self.future_tolerance, now, self.intake)


@dataclass(frozen=True, slots=True)
class Window:
    """When a usage that arrives `now` may have started, and how it is taken in."""

    earliest: datetime
    latest: datetime
    now: datetime
    intake: Intake


def fault_of(usage: UsageReceived, window: Window, *, is_released: bool = False) -> Fault | None:
    """Why the usage cannot be right, with what to do about it; None when it can, or where an operator released its quantity."""
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
    refused = window.intake.quantity_fault(usage, is_released=is_released)
    return None if refused is None else (refused.reason, f"{refused.detail}: {REMEDIES[refused.reason]}")


def identifiers_of(usages: Iterable[UsageReceived], numbers: NumberReader) -> set[str]:
    """Return the identifiers of usages, as received and in E.164."""
    received = {usage.identifier for usage in usages}
    return received | {numbers.identifier(identifier) for identifier in received if not is_e164(identifier)}
