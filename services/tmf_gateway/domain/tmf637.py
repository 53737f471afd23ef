"""TMF637 Product Inventory v4: products and the service identifiers that they hold.

Like an account, a product's document keeps the TMF resource under `resource`; `identifiers` says which number, user name
or SIM it holds and when, which is how usage finds its way to it. `suspensions` and `former_offerings` keep what the resource
forgets and fees depend on: when it was suspended, and which offerings it had before.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import combinations
from typing import Any

from pydantic import ValidationError

from libs.contracts import AccountState, FormerOffering, ProductChanged, ProductStatus, ServiceIdentifier, Suspension
from libs.pricing.intake import InvalidNumber, subscriber_number
from services.tmf_gateway.domain.links import TMF637, Links
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.patching import set_by_server
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, faults_in_words_of
from services.tmf_gateway.domain.resource import Document, Kind, Representation, Resource, Stored
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.specifications import swagger

# Numbers get ported: a characteristic may say when it holds.
_VALIDITY = {"Characteristic": {"validFor": {"$ref": "#/definitions/TimePeriod"}}}
SCHEMA = Schema(swagger("TMF637")["definitions"], extensions=_VALIDITY)
IDENTIFIER_KINDS = ("msisdn", "userName", "sim")
# Products of a group share the allowances that their offerings share by group.
SHARING_GROUP = "sharingGroup"
# Where clients say what ProductChanged has under another name.
_TMF_NAMES = {
    "account_id": "billingAccount.id",
    "offering_id": "productOffering.id",
    "started_at": "startDate",
    "ended_at": "terminationDate",
    "identifiers": "productCharacteristic",
    "group_id": f"productCharacteristic {SHARING_GROUP}",
}
_SERVER_OWNED = frozenset(("id", "href"))
_TYPE = "Product"
# A product gets them when it is opened, and is billed by them.
_NEEDED = ("status", "startDate")
_NEVER_STARTED = (ProductStatus.CANCELLED, ProductStatus.ABORTED)
_PLANNED = (ProductStatus.CREATED, ProductStatus.PENDING_ACTIVE)
_ENDED = (ProductStatus.TERMINATED, *_NEVER_STARTED)
_LIVE = (ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE)


def account_of(body: Mapping[str, Any]) -> str:
    """The id of the billing account that a product names. Raises BadRequest."""
    return _reference(body, "billingAccount")


def offering_of(product: Document) -> str:
    """Return the id of the offering that a product has. Raises BadRequest."""
    return _reference(product["resource"], "productOffering")


def new_product(body: Mapping[str, Any], id: str, account: Document, now: datetime) -> dict[str, Any]:
    """The document of a new product of `account`. Raises BadRequest."""
    if account["resource"]["state"] == AccountState.CLOSED:
        raise BadRequest(f"billingAccount {account['_id']} is closed")
    resource = SCHEMA.conform("Product_Create", {"status": ProductStatus.ACTIVE, **body})
    resource = {"startDate": now, "orderDate": now, **_own(resource)}
    product = {"_id": id, "revision": 1, "created_at": now, "changed_at": now, "account_id": account["_id"]}
    suspended = [{"start": resource["startDate"], "end": None}] if resource["status"] == ProductStatus.SUSPENDED else []
    return _checked({**product, "resource": resource, "suspensions": suspended, "former_offerings": []})


def patched_product(product: Document, patch: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The product's document after a merge patch; the same document when nothing changes. Raises BadRequest or Conflict."""
    before = product["resource"]
    resource = _own(SCHEMA.conform("Product_Create", merge(before, patch)))
    for name in _NEEDED:
        if name not in resource:
            raise BadRequest(f"{name} of a product can be changed, not removed")
    if account_of(resource) != product["account_id"]:
        raise BadRequest("a product cannot move to another billingAccount: end it there and open it here")
    if resource == before:
        return dict(product)
    if before["status"] in _ENDED and resource["status"] != before["status"]:
        raise Conflict(f"a product that is {before['status'].strip()} cannot become {resource['status']}")
    if resource["status"] == ProductStatus.TERMINATED:
        resource.setdefault("terminationDate", now)
    history = {"suspensions": _suspensions(product, resource, now), "former_offerings": _former_offerings(product, resource, now)}
    return _checked({**product, **history, "resource": resource, "revision": product["revision"] + 1, "changed_at": now})


def product_fact(product: Document) -> ProductChanged:
    """What the other services need to know of a product. Raises pydantic.ValidationError."""
    resource = product["resource"]
    offering = resource["productOffering"]
    return ProductChanged(
        id=product["_id"],
        revision=product["revision"],
        account_id=product["account_id"],
        offering_id=offering["id"],
        name=resource.get("name") or offering.get("name") or offering["id"],
        status=resource["status"],
        started_at=resource["startDate"],
        ended_at=resource.get("terminationDate"),
        identifiers=tuple(ServiceIdentifier.model_validate(identifier) for identifier in product["identifiers"]),
        suspensions=tuple(Suspension.model_validate(suspension) for suspension in product.get("suspensions", ())),
        former_offerings=tuple(FormerOffering.model_validate(former) for former in product.get("former_offerings", ())),
        group_id=_group(resource),
        changed_at=product["changed_at"],
    )


def check_deletable(product: Document, has_charges: bool, now: datetime) -> None:
    """Raises Conflict for a product that has begun: what was used of it is billed, and may be asked for."""
    resource = product["resource"]
    has_begun = resource["status"] not in (*_NEVER_STARTED, *_PLANNED) and resource["startDate"] <= now
    if has_begun or has_charges:
        raise Conflict(f"a product that is {resource['status'].strip()} and has begun is not deleted: end it by its status, terminated")


def withdrawn(product: Document) -> dict[str, Any]:
    """Return a product as the other services know it once it is deleted: it never was."""
    return {**product, "identifiers": [], "resource": {**product["resource"], "status": ProductStatus.CANCELLED}}


def product(document: Document, links: Links) -> Representation:
    """TMF637 product."""
    resource = document["resource"]
    account = {"@referredType": "BillingAccount", **resource["billingAccount"], "href": links.account(document["account_id"])}
    return {
        "id": document["_id"],
        "href": links.product(document["_id"]),
        "@type": _TYPE,
        **resource,
        "billingAccount": account,
    }


def _locate(path: str) -> Stored | None:
    if path in ("id", "href"):
        return Stored("_id", Kind.HREF if path == "href" else Kind.TEXT)
    if path in ("billingAccount.id", "billingAccount.href"):
        return Stored("account_id", Kind.HREF if path.endswith("href") else Kind.TEXT)
    if path == "billingAccount.@referredType":
        return Stored(f"resource.{path}", shown="BillingAccount")
    kind = SCHEMA.kind("Product", path)
    return Stored(f"resource.{path}", kind) if kind else None


PRODUCT = Resource(
    "TMF637",
    TMF637,
    "product",
    _TYPE,
    SCHEMA.attributes("Product"),
    _locate,
    product,
    newest_first=(("created_at", -1), ("_id", -1)),
    schema=SCHEMA,
    unread=("outbox",),
    type_path="resource.@type",
    read_only=set_by_server(_SERVER_OWNED),
)


def _own(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in _SERVER_OWNED and (name, value) != ("@type", _TYPE)}


def _reference(body: Mapping[str, Any], name: str) -> str:
    reference = body.get(name)
    id = reference.get("id") if isinstance(reference, Mapping) else None
    if not isinstance(id, str) or not id:
        raise BadRequest(f"{name}.id is missing")
    return id


def _checked(product: dict[str, Any]) -> dict[str, Any]:
    resource = product["resource"]
    _reference(resource, "productOffering")
    ends = resource.get("terminationDate")
    if ends is not None and ends <= resource["startDate"] and resource["status"] not in _NEVER_STARTED:
        raise BadRequest("terminationDate must lie after startDate")
    checked = {**product, "resource": {**resource, **_normalised(resource)}}
    checked["identifiers"] = [] if resource["status"] in _NEVER_STARTED else list(_identifiers(checked["resource"]))
    for one, other in combinations(checked["identifiers"], 2):
        if (one["kind"], one["value"]) == (other["kind"], other["value"]) and _overlap(one, other):
            raise BadRequest(f"{one['kind']} {one['value']} is given twice for the same time")
    try:
        product_fact(checked)
    except ValidationError as error:
        raise BadRequest(faults_in_words_of(error, _TMF_NAMES)) from None
    return checked


def _suspensions(before: Document, resource: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """Begun when the status becomes suspended, ended when it becomes another."""
    suspensions = list(before.get("suspensions", ()))
    was, becomes = (status == ProductStatus.SUSPENDED for status in (before["resource"]["status"], resource["status"]))
    if becomes and not was:
        suspensions.append({"start": max(now, resource["startDate"]), "end": None})
    elif was and not becomes and suspensions and suspensions[-1]["end"] is None:
        begun = suspensions.pop()["start"]
        suspensions += [{"start": begun, "end": now}] if begun < now else []
    return suspensions


def _former_offerings(before: Document, resource: Mapping[str, Any], now: datetime) -> list[dict[str, Any]]:
    """One more when a product that has begun takes another offering."""
    formers = list(before.get("former_offerings", ()))
    earlier, later = before["resource"]["productOffering"]["id"], _reference(resource, "productOffering")
    if earlier != later and before["resource"]["status"] in _LIVE and resource["startDate"] < now:
        formers.append({"offering_id": earlier, "until": now})
    return formers


def _normalised(resource: Mapping[str, Any]) -> dict[str, Any]:
    if "productCharacteristic" not in resource:
        return {}
    return {"productCharacteristic": [_normalised_characteristic(item) for item in resource["productCharacteristic"]]}


def _normalised_characteristic(characteristic: Mapping[str, Any]) -> dict[str, Any]:
    kind, value = characteristic["name"], characteristic["value"]
    if kind not in IDENTIFIER_KINDS:
        return dict(characteristic)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(f"productCharacteristic {kind} must be text")
    return {**characteristic, "value": _e164(value) if kind == "msisdn" else value.strip()}


def _group(resource: Mapping[str, Any]) -> str | None:
    groups = [item["value"] for item in resource.get("productCharacteristic", ()) if item["name"] == SHARING_GROUP]
    if len(groups) > 1:
        raise BadRequest(f"productCharacteristic {SHARING_GROUP} is given {len(groups)} times: a product is in one group")
    return groups[0] if groups else None


def _e164(value: str) -> str:
    try:
        return subscriber_number(value)
    except InvalidNumber as error:
        raise BadRequest(f"productCharacteristic msisdn: {error}") from None


def _identifiers(resource: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Each identifier with the time for which both the product and the characteristic last."""
    for characteristic in resource.get("productCharacteristic", ()):
        if characteristic["name"] not in IDENTIFIER_KINDS:
            continue
        validity = characteristic.get("validFor", {})
        start = max(filter(None, (resource["startDate"], validity.get("startDateTime"))))
        end = min(filter(None, (resource.get("terminationDate"), validity.get("endDateTime"))), default=None)
        if end is not None and end <= start:
            raise BadRequest(f"{characteristic['name']} {characteristic['value']} would end before it starts")
        yield {"kind": characteristic["name"], "value": characteristic["value"], "valid_from": start, "valid_to": end}


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    starts_before_end = other["valid_to"] is None or one["valid_from"] < other["valid_to"]
    return starts_before_end and (one["valid_to"] is None or other["valid_from"] < one["valid_to"])
