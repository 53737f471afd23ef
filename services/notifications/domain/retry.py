"""What follows an attempt: the end of the delivery, or when to try again.

The pause doubles from try to try up to a bound, times a jitter that keeps many deliveries from coming back at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.notifications.domain.delivery import Attempt, DeliveryState


@dataclass(frozen=True)
class RetryPolicy:
    """`tries_max` attempts; the n-th pause is first · 2^(n-1) seconds, at most `pause_max_s`."""

    tries_max: int
    pause_first_s: float
    pause_max_s: float


@dataclass(frozen=True)
class Outcome:
    """The state of a delivery after an attempt. `due_at` while pending, `reason` when parked."""

    state: DeliveryState
    due_at: datetime | None = None
    reason: str | None = None


def after_attempt(attempt: Attempt, tries: int, policy: RetryPolicy, jitter: float) -> Outcome:
    """`tries` includes this attempt; `jitter` is a factor around 1, drawn by the caller."""
    if attempt.succeeded:
        return Outcome(DeliveryState.DELIVERED)
    if tries >= policy.tries_max:
        return Outcome(DeliveryState.PARKED, reason=f"gave up after {tries} tries; the last: {attempt.error or f'HTTP {attempt.status}'}")
    # Bounded before the power: 2.0 ** 2000 would overflow.
    doublings = min(tries - 1, 64)
    pause_s = min(policy.pause_max_s, policy.pause_first_s * 2**doublings) * jitter
    return Outcome(DeliveryState.PENDING, due_at=attempt.at + timedelta(milliseconds=attempt.duration_ms, seconds=pause_s))
