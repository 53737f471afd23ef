"""Why a rated usage costs what it costs, in the words of pricing itself: no TM Forum API has a place for it.

The usage is priced again by the book that priced it, under the offering that it had; what allowances paid is what was stored.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from msgspec.structs import replace

from libs.contracts import AllowanceUse, UsageReceived
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.explanation import ExplanationStep, explain
from services.tmf_gateway.domain.resource import Document

EXPLANATION_PATH = "/tarifa/v1/usage/{id}/explanation"
EXPLANATION_TITLE = "Say step by step why a usage costs what it costs"


@dataclass(frozen=True, slots=True)
class RatedUsage:
    """What rating stores of a usage. `parts` are those of the outcome that stands, `reratings` are in order; `offering_ids` are
    those it may have been priced under, the likeliest first."""

    usage: Document
    parts: Sequence[Document]
    reratings: Sequence[Document]
    offering_ids: Sequence[str]
    time_zone: str

    @property
    def currency(self) -> str:
        """The currency of its price."""
        return self.usage["currency"]


def parts_of(usage: Document, reratings: Sequence[Document]) -> Sequence[Document]:
    """The outcome that stands: that of the last re-rating, or else that of the first rating."""
    if reratings:
        return reratings[-1]["new"]
    return usage.get("parts") or [usage]


def usage_explanation(rated: RatedUsage, books: RateBooks) -> dict[str, Any]:
    """The answer to a client."""
    received = _received(rated.usage)
    steps = _explained(rated, received, books)
    amount = sum((Fraction(int(part["numerator"]), int(part["denominator"])) for part in rated.parts), Fraction(0))
    answer = {
        "id": received.id,
        "accountId": rated.usage["account_id"],
        "productId": rated.usage["product_id"],
        "usageType": received.usage_type,
        "startedAt": received.started_at,
        "quantity": received.quantity,
        "unit": received.unit,
        "calledNumber": received.called_number,
        "characteristics": dict(received.characteristics) or None,
        "amount": {"unit": rated.currency, **_fraction(amount)},
        "parts": [_part(part) for part in rated.parts],
        "reratings": [_rerating(rerating) for rerating in rated.reratings] or None,
        "steps": [_step(step) for step in steps],
    }
    return {name: value for name, value in answer.items() if value is not None}


def _explained(rated: RatedUsage, received: UsageReceived, books: RateBooks) -> list[ExplanationStep]:
    uses = tuple(_use(use) for use in rated.usage.get("allowances", ()))
    zone, currency = rated.time_zone, rated.currency
    told = [part["price_id"] for part in rated.parts]
    for offering_id in rated.offering_ids:
        priced = books.price_usage(offering_id, received, time_zone=zone, currency=currency)
        if not isinstance(priced, RejectedUsage) and [part.price_id for part in priced.parts] == told:
            left = _left(priced, rated.parts) if uses else None
            return explain(books, offering_id, received, time_zone=zone, currency=currency, left=left, uses=uses)
    return explain(books, rated.offering_ids[0], received, time_zone=zone, currency=currency)


def _left(priced: PricedUsage, parts: Sequence[Document]) -> PricedUsage:
    """What allowances left to pay, as it was stored."""
    charged = [int(Decimal(part["charged_quantity"]).scaleb(each.price.decimals)) for part, each in zip(parts, priced.parts, strict=True)]
    covered = [each.steps - steps for each, steps in zip(priced.parts, charged, strict=True)]
    left = priced.covered(covered) if any(covered) else priced
    first, *others = (replace(each, numerator=int(part["numerator"])) for each, part in zip(left.parts, parts, strict=True))
    return replace(first, others=tuple(others))


def _received(usage: Document) -> UsageReceived:
    return UsageReceived(
        id=usage["_id"],
        identifier=usage["identifier"],
        usage_type=usage["usage_type"],
        started_at=usage["started_at"].astimezone(UTC),
        quantity=Decimal(usage["quantity"]),
        unit=usage["unit"],
        called_number=usage.get("called_number"),
        characteristics=usage.get("characteristics", {}),
    )


def _use(use: Document) -> AllowanceUse:
    return AllowanceUse(
        allowance_id=use["allowance_id"],
        bucket_id=use["bucket_id"],
        quantity=Decimal(use["quantity"]),
        denominator=int(use.get("denominator", 1)),
    )


def _part(part: Document) -> dict[str, Any]:
    return {
        "priceId": part["price_id"],
        "rateBook": part["rate_book"],
        "chargeId": part["charge_id"],
        "chargedQuantity": Decimal(part["charged_quantity"]),
        **_fraction(Fraction(int(part["numerator"]), int(part["denominator"]))),
    }


def _rerating(rerating: Document) -> dict[str, Any]:
    at: datetime = rerating["rerated_at"]
    return {"requestId": rerating["request_id"], "reratedAt": at, "old": _parts(rerating["old"]), "new": _parts(rerating["new"])}


def _parts(parts: Iterable[Document]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts]


def _step(step: ExplanationStep) -> dict[str, Any]:
    return {"topic": step.topic, "text": step.text, **({"amount": _fraction(step.amount)} if step.amount is not None else {})}


def _fraction(amount: Fraction) -> dict[str, str]:
    """Exactly, as texts: neither has bounds."""
    return {"numerator": str(amount.numerator), "denominator": str(amount.denominator)}


_TEXT = {"type": "string"}
_NUMBER = {"type": "number"}
_INSTANT = {"type": "string", "format": "date-time"}
_FRACTION = {"numerator": _TEXT, "denominator": _TEXT}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties)}


def _list(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": _object(properties)}


_PART_SCHEMA = {"priceId": _TEXT, "rateBook": _TEXT, "chargeId": _TEXT, "chargedQuantity": _NUMBER, **_FRACTION}
EXPLANATION_SCHEMA = _object(
    {
        **dict.fromkeys(("id", "accountId", "productId", "usageType", "unit", "calledNumber"), _TEXT),
        "startedAt": _INSTANT,
        "quantity": _NUMBER,
        "characteristics": {"type": "object", "additionalProperties": _TEXT},
        "amount": {
            **_object({"unit": _TEXT, **_FRACTION}),
            "description": "Exact and not yet rounded: numerator / denominator of the currency",
        },
        "parts": {**_list(_PART_SCHEMA), "description": "One for each price and charge that has a part of the usage"},
        "reratings": {
            **_list({"requestId": _TEXT, "reratedAt": _INSTANT, "old": _list(_PART_SCHEMA), "new": _list(_PART_SCHEMA)}),
            "description": "What it was priced before, oldest first",
        },
        "steps": {
            **_list({"topic": _TEXT, "text": _TEXT, "amount": _object(_FRACTION)}),
            "description": "In order; the amounts add up to that of the last step",
        },
    }
)
