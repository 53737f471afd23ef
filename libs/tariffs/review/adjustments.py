"""Discounts, caps and thresholds that no charge of the offering ever reaches."""

from collections.abc import Iterator

from libs.contracts.adjustments import AdjustmentScope
from libs.pricing import Fault
from libs.pricing.rate_book import Offering
from libs.pricing.yaml_source import Mapping, Node, Scalar, Sequence

KEYS = ("discounts", "spending_cap", "minimum_commitment", "thresholds")


def adjustment_warnings(offering: Offering, root: Node) -> Iterator[Fault]:
    """What is odd about what an offering does to the sum of its charges."""
    adjustments = offering.adjustments
    scopes: dict[str, AdjustmentScope] = {discount.id: discount.scope for discount in adjustments.discounts}
    scopes |= {commitment.id: commitment.scope for commitment in adjustments.commitments}
    if adjustments.spending_cap is not None:
        scopes[adjustments.spending_cap.id] = adjustments.spending_cap.scope
    if adjustments.thresholds is not None:
        scopes[adjustments.thresholds.id] = adjustments.thresholds.scope
    for node in _declared(offering, root):
        id = node.entries["id"]
        assert isinstance(id, Scalar), "a sound book has ids"
        if id.text in scopes and not _is_reached(scopes[id.text], offering):
            yield node.place.fault(
                f"nothing reaches {id.text!r}: the offering has no charges of its scope",
                "correct its scope, or add the prices that it is for",
            )


def _is_reached(scope: AdjustmentScope, offering: Offering) -> bool:
    # Prices that are named are there: a book is refused otherwise.
    there = {"usage": offering.usage_prices, "recurring": offering.recurring_prices, "oneTime": offering.one_time_prices}
    return bool(scope.price_ids) or any(there[kind] for kind in scope.kinds or there)


def _declared(offering: Offering, root: Node) -> Iterator[Mapping]:
    offerings = root.entries.get("offerings") if isinstance(root, Mapping) else None
    terms = offerings.entries.get(offering.id) if isinstance(offerings, Mapping) else None
    for key in KEYS:
        node = terms.entries.get(key) if isinstance(terms, Mapping) else None
        for item in node.items if isinstance(node, Sequence) else (node,):
            if isinstance(item, Mapping):
                yield item
