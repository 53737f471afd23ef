"""TMF635 Usage Management v4, read only: rated usage and usage in suspense, as rating keeps them.

A rated usage is a document of `usage`, completed with its charges and re-ratings; one that waits is an entry of `suspense`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.contracts import ChargeState, RejectionReason
from libs.money import RoundingMode, round_to_decimals
from services.tmf_gateway.domain.links import TMF635, Links
from services.tmf_gateway.domain.query import Filter, Query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document, Kind, Representation, Resource, Stored, referred
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.specifications import swagger

# TMF635 has no attribute for whose usage it is, nor for why one was rejected.
EXTENSIONS = {
    "billingAccount": {"$ref": "#/definitions/EntityRef"},
    "statusReason": {"type": "string"},
}
SCHEMA = Schema(swagger("TMF635")["definitions"], extensions={"Usage": EXTENSIONS})
REJECTED = "rejected"
# An amount of one usage may be no decimal at all; it is exact in the explanation, and rounded for good on the bill's line.
AMOUNT_DECIMALS = 6
_ACCOUNT = "billingAccount.id"


def rated_usage(document: Document, links: Links) -> Representation:
    """TMF635 usage of a document of `usage`, with `charges` by id and the latest of its `reratings` beside it."""
    parts = document.get("reratings") or document.get("parts") or [document]
    charges = document.get("charges", {})
    is_billed = all(charges.get(part["charge_id"], {}).get("state") == ChargeState.BILLED for part in parts)
    status = "billed" if is_billed else "rerated" if document.get("reratings") else "rated"
    return {
        **_received(document["_id"], document, links),
        "status": status,
        "ratedProductUsage": [_rated_part(part, document, charges.get(part["charge_id"], {}), links) for part in parts],
        "billingAccount": {"id": document["account_id"], "href": links.account(document["account_id"]), "@referredType": "BillingAccount"},
        "@type": "Usage",
    }


def suspended_usage(entry: Document, links: Links) -> Representation:
    """TMF635 usage of an entry of `suspense`: what was received, and why it has no price."""
    return {
        **_received(shown_id(entry), entry["usage"], links),
        "status": REJECTED,
        "statusReason": f"{entry['reason']}: {entry['detail']}",
        "@type": "Usage",
    }


def shown_id(entry: Document) -> str:
    """Return the id under which a suspended usage is read: that of its entry where another usage has its own id."""
    return entry["_id"] if entry["reason"] == RejectionReason.DUPLICATE_ID else entry["usage_id"]


def _received(id: str, usage: Document, links: Links) -> Representation:
    named = {
        "identifier": usage["identifier"],
        "calledNumber": usage.get("called_number"),
        "quantity": usage["quantity"],
        "unit": usage["unit"],
        **(usage.get("characteristics") or {}),
    }
    characteristics = [{"name": name, "value": value} for name, value in named.items() if value is not None]
    return {
        "id": id,
        "href": links.usage(id),
        "usageDate": usage["started_at"],
        "usageType": usage["usage_type"],
        "usageCharacteristic": characteristics,
    }


def _rated_part(part: Document, usage: Document, charge: Document, links: Links) -> Representation:
    product = usage["product_id"]
    shown: Representation = {
        "isBilled": charge.get("state") == ChargeState.BILLED,
        "usageRatingTag": _tag(part, usage),
        "productRef": {"id": product, "href": links.product(product), "@referredType": "Product"},
    }
    # Where the price counts the month, only the charge has an amount.
    if not charge.get("tiers"):
        exact = Fraction(int(part["numerator"]), int(part["denominator"]))
        shown["taxExcludedRatingAmount"] = {"unit": usage["currency"], "value": _decimal(exact)}
    return shown


def _tag(part: Document, usage: Document) -> str:
    if not usage.get("allowances"):
        return "usage"
    return "included usage" if int(part["numerator"]) == 0 else "non included usage"


def _decimal(amount: Fraction) -> Decimal:
    return round_to_decimals(amount, AMOUNT_DECIMALS, RoundingMode.HALF_UP)


_USAGE_ATTRIBUTES = {
    "id": Stored("_id"),
    "href": Stored("_id", Kind.HREF),
    "usageDate": Stored("started_at", Kind.INSTANT),
    "usageType": Stored("usage_type"),
    "billingAccount.id": Stored("account_id"),
    "billingAccount.href": Stored("account_id", Kind.HREF),
    "billingAccount.@referredType": referred("account_id", "BillingAccount"),
    "ratedProductUsage.productRef.id": Stored("product_id"),
    "ratedProductUsage.productRef.href": Stored("product_id", Kind.HREF),
    "ratedProductUsage.productRef.@referredType": referred("product_id", "Product"),
}
_SUSPENDED_ATTRIBUTES = {"usageDate": Stored("usage.started_at", Kind.INSTANT), "usageType": Stored("usage.usage_type")}


def _resource(stored: Mapping[str, Stored], **more: Any) -> Resource:
    return Resource("TMF635", TMF635, "usage", "Usage", SCHEMA.attributes("Usage"), stored.get, schema=SCHEMA, **more)


USAGE = _resource(_USAGE_ATTRIBUTES, render=rated_usage, newest_first=(("_id", 1),))
# The index that finds an account's usage has them in the order of time.
USAGE_OF_AN_ACCOUNT = replace(USAGE, newest_first=(("started_at", -1), ("_id", 1)))
SUSPENDED_USAGE = _resource(_SUSPENDED_ATTRIBUTES, render=suspended_usage, newest_first=(("suspended_at", -1), ("_id", 1)))


def account_asked_for(query: Query) -> str | None:
    """Return the one account whose usage a query wants; None when it names none, or several."""
    named = [filter_.values for filter_ in query.filters if (filter_.path, filter_.operator) == (_ACCOUNT, "eq")]
    return named[0][0] if len(named) == 1 and len(named[0]) == 1 and not query.any_suffices else None


def wants_rejected(query: Query) -> bool:
    """Return whether a query asks for usage in suspense, which is another collection than rated usage. Raises BadRequest."""
    wanted = [filter_ for filter_ in query.filters if filter_.path == "status"]
    if not wanted:
        return False
    if query.any_suffices or wanted != [Filter("status", "eq", (REJECTED,))]:
        raise BadRequest(f"usage can be filtered by status={REJECTED} only: all others follow from charges, and are shown without it")
    return True


def waiting_under(identifier: Document) -> dict[str, Any]:
    """Return the condition on suspense for the usage of an identifier while its product held it: numbers are reused."""
    while_held = {"$gte": identifier["valid_from"], **({"$lt": identifier["valid_to"]} if identifier["valid_to"] else {})}
    received_as = [{"usage.identifier": identifier["value"]}, {"number": identifier["value"]}]
    return {"$or": received_as, "usage.started_at": while_held}


def of_suspense(query: Query) -> Query:
    """Return the query without what chooses the collection and the customer."""
    return replace(query, filters=tuple(filter_ for filter_ in query.filters if filter_.path not in ("status", _ACCOUNT)))


def with_what_stands(usage: Document, charges: Mapping[str, Document], reratings: Sequence[Document]) -> Document:
    """Return a document of `usage` with its charges and the parts of its latest re-rating."""
    return {**usage, "charges": charges, "reratings": reratings[-1]["new"] if reratings else None}
