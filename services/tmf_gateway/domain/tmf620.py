"""TMF620 Product Catalog Management v4: productOffering, productOfferingPrice and productSpecification.

A document keeps the TMF resource as the client sent it under `resource`, as everywhere. One with `rate_books` is not a
client's: it shows what those rate books say, and only a rate book changes it. How an offering becomes a rate book is in
launching.py.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from services.tmf_gateway.domain.links import TMF620, Links
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.patching import set_by_server
from services.tmf_gateway.domain.price_schedule import is_past_kept
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.resource import Document, Kind, Representation, Resource, Stored
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.specifications import swagger

SCHEMA = Schema(swagger("TMF620")["definitions"])
ACTIVE, LAUNCHED, RETIRED, OBSOLETE, REJECTED = "Active", "Launched", "Retired", "Obsolete", "Rejected"
# Where each state may go. A rejected idea is designed anew as another one.
NEXT_STATES: Mapping[str, tuple[str, ...]] = {
    "In study": ("In design", REJECTED),
    "In design": ("In study", "In test", REJECTED),
    "In test": ("In design", ACTIVE, REJECTED),
    ACTIVE: ("In test", LAUNCHED, RETIRED),
    LAUNCHED: (RETIRED,),
    RETIRED: (LAUNCHED, OBSOLETE),
    OBSOLETE: (),
    REJECTED: (),
}
# The states in which customers have an offering.
IN_USE = (LAUNCHED, RETIRED)
# What a price asks is what it is: another amount is another price.
PRICING_ATTRIBUTES = (
    *("name", "priceType", "price", "unitOfMeasure", "recurringChargePeriodType", "recurringChargePeriodLength", "tax"),
    *("prodSpecCharValueUse", "percentage", "isBundle", "bundledPopRelationship", "popRelationship"),
    *("pricingLogicAlgorithm", "constraint", "place", "productOfferingTerm"),
)
_SPELLINGS = {state.lower().replace(" ", ""): state for state in NEXT_STATES}
_SERVER_OWNED = frozenset(("id", "href", "lastUpdate"))


def new_resource(definition: str, body: Mapping[str, Any], id: str, now: datetime, *, state: str) -> dict[str, Any]:
    """The document of a new resource; `state` is where one begins that does not say. Raises BadRequest."""
    resource = {"lifecycleStatus": state, **_own(definition, SCHEMA.conform(f"{definition}_Create", body))}
    return {"_id": id, "revision": 1, "created_at": now, "changed_at": now, "resource": _checked(resource)}


def patched_resource(definition: str, document: Document, patch: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The document after a merge patch; the same one when nothing changes. Raises BadRequest or Conflict."""
    refuse_shown(document, definition)
    if patch.get("id", document["_id"]) != document["_id"]:
        raise BadRequest("the id of a resource cannot be changed: leave it out")
    before = document["resource"]
    said = SCHEMA.conform(f"{definition}_Create", merge(before, patch))
    after = _checked({"lifecycleStatus": before["lifecycleStatus"], **_own(definition, said)})
    if after == before:
        return dict(document)
    state, wanted = before["lifecycleStatus"], after["lifecycleStatus"]
    if wanted != state and wanted not in NEXT_STATES[state]:
        raise Conflict(f"a {_resource_name(definition)} that is {state} can become {' or '.join(NEXT_STATES[state]) or 'nothing else'}")
    return {**document, "resource": after, "revision": document["revision"] + 1, "changed_at": now}


def check_price_change(after: Document, before: Document, used_by: list[str], now: datetime) -> None:
    """Raises Conflict when a price that customers pay would ask something else, or would have held at another time until now."""
    changed = [name for name in PRICING_ATTRIBUTES if after["resource"].get(name) != before["resource"].get(name)]
    if changed and used_by:
        raise Conflict(
            f"productOffering {used_by[0]} is in use with this price, so that its {', '.join(changed)} cannot change: "
            "create another productOfferingPrice and put it in the offering in place of this one"
        )
    if used_by and not is_past_kept(after["resource"], before["resource"], now):
        raise Conflict(
            f"productOffering {used_by[0]} is in use with this price, so that when it began or ended cannot change, "
            f"nor can it begin or end before {now.isoformat(timespec='seconds')}"
        )


def refuse_shown(document: Document, definition: str) -> None:
    """Raises Conflict for what shows a rate book."""
    if document.get("rate_books"):
        raise Conflict(f"this {_resource_name(definition)} is what rate book {document['rate_books'][-1]} says: publish another rate book")


def _render(definition: str) -> Callable[[Document, Links], Representation]:
    def render(document: Document, links: Links) -> Representation:
        resource = dict(document["resource"])
        for name, target in (("productOfferingPrice", "productOfferingPrice"), ("bundledProductOffering", "productOffering")):
            if name in resource:
                resource[name] = [{"href": _href(target, reference, links), **reference} for reference in resource[name]]
        if "productSpecification" in resource:
            reference = resource["productSpecification"]
            resource["productSpecification"] = {"href": _href("productSpecification", reference, links), **reference}
        return {
            "id": document["_id"],
            "href": links.to(TMF620, _resource_name(definition), document["_id"]),
            "@type": definition,
            **resource,
            "lastUpdate": document["changed_at"],
        }

    return render


# Shown as the client sent them, else as the gateway reaches the resource: ids are what to filter by.
_SHOWN_HREFS = ("productOfferingPrice.href", "bundledProductOffering.href", "productSpecification.href")


def _href(target: str, reference: Mapping[str, Any], links: Links) -> str:
    return links.to(TMF620, target, reference.get("id", ""))


def _locate(definition: str) -> Callable[[str], Stored | None]:
    def locate(path: str) -> Stored | None:
        if path in ("id", "href"):
            return Stored("_id", Kind.HREF if path == "href" else Kind.TEXT)
        if path == "lastUpdate":
            return Stored("changed_at", Kind.INSTANT)
        if path in _SHOWN_HREFS:
            return None
        kind = SCHEMA.kind(definition, path)
        return Stored(f"resource.{path}", kind) if kind else None

    return locate


def _resource_name(definition: str) -> str:
    return definition[0].lower() + definition[1:]


def _resource(definition: str) -> Resource:
    return Resource(
        "TMF620",
        TMF620,
        _resource_name(definition),
        definition,
        SCHEMA.attributes(definition),
        _locate(definition),
        _render(definition),
        newest_first=(("created_at", -1), ("_id", -1)),
        schema=SCHEMA,
        unread=("outbox", "publications"),
        type_path="resource.@type",
        read_only=set_by_server(_SERVER_OWNED),
    )


PRODUCT_OFFERING = _resource("ProductOffering")
PRODUCT_OFFERING_PRICE = _resource("ProductOfferingPrice")
PRODUCT_SPECIFICATION = _resource("ProductSpecification")


def _own(definition: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    """What the client says itself. A kind of resource of its own is one; the common kind is understood."""
    return {name: value for name, value in resource.items() if name not in _SERVER_OWNED and (name, value) != ("@type", definition)}


def _checked(resource: dict[str, Any]) -> dict[str, Any]:
    if not resource["name"].strip():
        raise BadRequest("name must not be blank")
    state = _SPELLINGS.get(resource["lifecycleStatus"].lower().replace(" ", ""))
    if state is None:
        raise BadRequest(f"lifecycleStatus must be one of {', '.join(NEXT_STATES)}")
    validity = resource.get("validFor", {})
    if "startDateTime" in validity and "endDateTime" in validity and validity["endDateTime"] <= validity["startDateTime"]:
        raise BadRequest("validFor.endDateTime must lie after validFor.startDateTime")
    return {**resource, "lifecycleStatus": state}
