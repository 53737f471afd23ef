"""A usage against the message it came in, the price that the rate book gives it, and the work list when it has none."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from libs.audit.domain.allowances import check_uses, uncovered
from libs.audit.domain.difference import Category, Difference
from libs.contracts import RejectionReason, UsageReceived
from libs.pricing import PricedUsage, RejectedUsage
from libs.pricing.allowance import Allowance

# `received` has the numbers that rating brought into one form, as they came.
RECEIVED_FIELDS = ("received", "identifier", "usage_type", "started_at", "quantity", "unit", "called_number", "characteristics")
# Suspended for these reasons, nothing is stored as a usage: it could not be read, or its id was taken.
WITHOUT_USAGE = frozenset({RejectionReason.MALFORMED, RejectionReason.DUPLICATE_ID})
_DIGEST_LENGTH = 32


def malformed_id(body: bytes) -> str:
    """The suspense id that a message which is no usage must have."""
    return f"malformed:{hashlib.sha256(body).hexdigest()[:_DIGEST_LENGTH]}"


def is_stored_as_received(usage: UsageReceived, stored: Mapping[str, Any]) -> bool:
    """Return whether the stored usage is the one of the message."""
    if "received" in stored:
        stored = {**stored, **stored["received"]}
    return (
        usage.identifier == stored["identifier"]
        and usage.usage_type == stored["usage_type"]
        and usage.started_at == _instant(stored)
        and _same_number(usage.quantity, stored["quantity"])
        and usage.unit == stored["unit"]
        and usage.called_number == stored.get("called_number")
        and usage.characteristics == stored.get("characteristics", {})
    )


def undecided_usage(usage_id: str) -> Difference:
    """A usage that rating has read and neither rated nor suspended."""
    return Difference(category=Category.USAGE_UNDECIDED, id=usage_id, expected="rated or in suspense", found="neither")


def altered_usage(usage_id: str) -> Difference:
    """A message whose body is not the stored one, and that is in no suspense for it."""
    return Difference(
        category=Category.USAGE_ALTERED,
        id=usage_id,
        expected="the usage as it was received, or in suspense as duplicate-id",
        found="another",
    )


def waiting_usages(partition: int, acknowledged: int) -> Difference:
    """Return that rating has not handled the messages from an offset on. It tells no count: that grows also where rating stands still."""
    return Difference(
        category=Category.USAGE_WAITING,
        id=f"partition {partition}",
        expected="every usage handled",
        found=f"those from offset {acknowledged} on are not handled yet",
    )


def parts_of(stored: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The parts of a usage that was split; a whole one is its only part."""
    return stored.get("parts") or [stored]


def received_usage(stored: Mapping[str, Any]) -> UsageReceived:
    """A stored usage as it was received."""
    return UsageReceived(
        id=stored["_id"],
        identifier=stored["identifier"],
        usage_type=stored["usage_type"],
        started_at=_instant(stored),
        quantity=Decimal(stored["quantity"]),
        unit=stored["unit"],
        called_number=stored.get("called_number"),
        characteristics=stored.get("characteristics", {}),
    )


def check_price(
    stored: Mapping[str, Any], priced: PricedUsage | RejectedUsage, allowances: Mapping[str, Allowance] | None = None
) -> Iterator[Difference]:
    """A usage has the price that its rate book gives it, part by part, less what allowances paid; `priced` is by that same book.

    `allowances` are those of its offering, by id.
    """
    if isinstance(priced, RejectedUsage):
        yield _of_price(stored, f"no price: {priced.reason}", f"{stored['price_id']}")
        return
    parts = parts_of(stored)
    told = " and ".join(part["price_id"] for part in parts)
    wanted = " and ".join(part.price_id for part in priced.parts)
    if told != wanted:
        yield _of_price(stored, f"price_id {wanted}", told)
        return
    drew = "allowances" in stored
    if drew:
        yield from check_uses(stored, parts, priced, allowances or {})
        priced = uncovered(priced, parts)
    for part, each in zip(parts, priced.parts, strict=True):
        for what in ("charged_quantity", "denominator", *(() if drew else ("numerator",))):
            expected, found = getattr(each, what), part[what]
            if expected != found:
                yield _of_price(stored, f"{what} {expected}", f"{found}")
    if priced.currency != stored["currency"]:
        yield _of_price(stored, f"currency {priced.currency}", f"{stored['currency']}")
    total = sum(int(part["numerator"]) for part in parts)
    if total != stored["numerator"]:
        yield _of_price(stored, f"numerator {total}, that of its parts", f"{stored['numerator']}")


def check_suspended(suspense_id: str, usages: Sequence[str], entries: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """A usage without a price waits in suspense, or was discarded; an entry that says it was rated has its price."""
    state = entries[0]["state"] if entries else None
    if usages and state not in ("open", "discarded"):
        found = f"suspense entry {suspense_id} is {state or 'missing'}"
        yield Difference(category=Category.SUSPENSE, id=usages[0], expected="open or discarded in suspense", found=found)
    if state == "open" and not usages and entries[0]["reason"] not in WITHOUT_USAGE:
        yield Difference(category=Category.SUSPENSE, id=suspense_id, expected="a usage without a price", found="none waits for this entry")


def _instant(stored: Mapping[str, Any]) -> datetime:
    # The driver's own UTC object makes every comparison with Python's a slow one.
    return stored["started_at"].replace(tzinfo=UTC)


def _same_number(received: Decimal, stored: int | Decimal | str) -> bool:
    return received == (Decimal(stored) if isinstance(stored, str) else stored)


def _of_price(stored: Mapping[str, Any], expected: str, found: str) -> Difference:
    return Difference(category=Category.USAGE_PRICE, id=stored["_id"], expected=expected, found=found)
