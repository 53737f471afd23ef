"""Suspense: the ids of usages that could not be rated, derived from what was received, so that a repeat is the same one.

Ids are digests: a usage's own id may hold anything, and must never be mistaken for that of a malformed message.
"""

import hashlib
from dataclasses import dataclass

from libs.contracts import RejectionReason, UsageReceived, UsageRejected

DIGEST_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Suspended:
    """An entry of the work list. `usage` is what can be read of it now, None when it is still malformed.

    `retry_id` names the retry that rated it, None while it waits. `is_released`: an operator released it from the limits.
    """

    id: str
    reason: RejectionReason
    detail: str
    usage: UsageReceived | None
    retry_id: str | None = None
    waits_for: tuple[str, ...] = ()
    is_released: bool = False


def malformed_id(body: bytes) -> str:
    """Of a message that is no usage: its bytes are all it has."""
    return f"malformed:{_digest(body)}"


def rejected_id(usage_id: str) -> str:
    """Of a usage that arrived for the first time and could not be rated."""
    return f"rejected:{_digest(usage_id.encode())}"


def conflicting_id(usage: UsageReceived) -> str:
    """Of a usage whose id was taken by another body."""
    return f"duplicate:{_digest(repr(_content(usage)).encode())}"


def reject(usage: UsageReceived, reason: RejectionReason, detail: str, waits_for: tuple[str, ...] = ()) -> UsageRejected:
    """The refusal of a usage under its own suspense id."""
    suspense_id = rejected_id(usage.id)
    return UsageRejected(suspense_id=suspense_id, usage_id=usage.id, reason=reason, detail=detail, usage=usage, waits_for=waits_for)


def reject_conflicting(usage: UsageReceived) -> UsageRejected:
    """The refusal of a usage whose id was taken by another body."""
    return UsageRejected(
        suspense_id=conflicting_id(usage),
        usage_id=usage.id,
        reason=RejectionReason.DUPLICATE_ID,
        detail=f"usage {usage.id} was received before with another body, which stands: send this one under an id of its own, or discard it",
        usage=usage,
    )


def reject_malformed(body: bytes, fault: str) -> UsageRejected:
    """The refusal of a message that is no usage."""
    return UsageRejected(
        suspense_id=malformed_id(body),
        reason=RejectionReason.MALFORMED,
        detail=f"{fault}: mend the sender, send the usage again, and discard this one",
    )


def _content(usage: UsageReceived) -> tuple:
    received = (usage.id, usage.identifier, usage.usage_type, usage.started_at.isoformat(), str(usage.quantity), usage.unit)
    return *received, usage.called_number, sorted(usage.characteristics.items())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_LENGTH]
