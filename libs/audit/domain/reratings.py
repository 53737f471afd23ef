"""What re-rating made of a usage: each time it begins where the last one ended, and posts what differs."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from libs.audit.domain.allowances import amount_of
from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.usages import parts_of

Stored = Mapping[str, Any]
# Price, charged quantity and amount of each part, whichever charge counts it.
Outcome = list[tuple[str, Fraction, Fraction]]


def check_reratings(usage_id: str, usages: Sequence[Stored], reratings: Sequence[Stored]) -> Iterator[Difference]:
    """`reratings` are those of one usage, by number; `usages` is the usage as it was rated."""
    if not reratings:
        return
    if not usages or "charge_id" not in usages[0]:
        yield _of_usage(usage_id, "a rated usage", "none")
        return
    stands = outcome_of(parts_of(usages[0]))
    for number, rerating in enumerate(reratings, 1):
        if rerating["number"] != number:
            yield _of_usage(usage_id, f"re-rating {number}", f"{rerating['number']}")
            return
        old, new = outcome_of(rerating["old"]), outcome_of(rerating["new"])
        if old != stands:
            yield _of_usage(usage_id, f"re-rating {number} to begin from {told(stands)}", told(old))
        posted = sum((_amount(posting) for posting in rerating["postings"]), Fraction(0))
        differs = sum((amount for _, _, amount in new), Fraction(0)) - sum((amount for _, _, amount in old), Fraction(0))
        if posted != differs:
            yield _of_usage(usage_id, f"re-rating {number} to post {differs}", f"{posted}")
        moved = sum((Fraction(posting["quantity"]) for posting in rerating["postings"]), Fraction(0))
        grown = sum((quantity for _, quantity, _ in new), Fraction(0)) - sum((quantity for _, quantity, _ in old), Fraction(0))
        if moved != grown:
            yield _of_usage(usage_id, f"re-rating {number} to move a quantity of {grown}", f"{moved}")
        if _uses(rerating) != _uses(usages[0]):
            yield _of_usage(usage_id, f"re-rating {number} to leave what allowances paid", "something else")
        stands = new


def outcome_of(parts: Sequence[Stored]) -> Outcome:
    """What stored parts come to."""
    return [(part["price_id"], Fraction(part["charged_quantity"]), _amount(part)) for part in parts]


def _amount(part: Stored) -> Fraction:
    return Fraction(int(part["numerator"]), int(part["denominator"]))


def told(outcome: Outcome) -> str:
    """For people."""
    return " and ".join(f"{price_id}: {quantity} for {amount}" for price_id, quantity, amount in outcome)


def _uses(stored: Stored) -> list[tuple[str, str, Fraction]]:
    return [(use["allowance_id"], use["bucket_id"], amount_of(use)) for use in stored.get("allowances", ())]


def _of_usage(usage_id: str, expected: str, found: str) -> Difference:
    return Difference(category=Category.USAGE_RERATED, id=usage_id, expected=expected, found=found)
