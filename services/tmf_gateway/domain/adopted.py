"""Documents of the gateway as its own published events and facts describe them, for a database that was restored.

An event shows the resource as it was after a revision. What the server added to show it is taken off again.
"""

from collections.abc import Callable, Mapping
from typing import Any

from libs.contracts import HubEventRaised, OnDemandBillRequested, OnDemandState, ProductChanged, SubscriptionChanged
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.domain.subscription import subject_of
from services.tmf_gateway.domain.tmf620 import SCHEMA as CATALOGUE_SCHEMA
from services.tmf_gateway.domain.tmf637 import SCHEMA as PRODUCT_SCHEMA
from services.tmf_gateway.domain.tmf666 import SCHEMA as ACCOUNT_SCHEMA

_SHOWN_BY_SERVER = frozenset(("id", "href", "lastModified", "lastUpdate", "accountBalance"))
# References whose href is added when they are shown.
_REFERENCES = ("billingAccount", "productSpecification", "productOfferingPrice", "bundledProductOffering")


def revision_of(event: HubEventRaised) -> int | None:
    """Return the revision whose event this is; None for events of other causes, such as those of bills."""
    id, colon, revision = str(event.envelope.get("correlationId", "")).rpartition(":")
    return int(revision) if colon and id == event.resource_id and revision.isdigit() else None


def adopted_resource(event: HubEventRaised, definition: str, name: str, known: Document | None) -> dict[str, Any]:
    """Return the document after the event's revision; `known` is the one before it, when it is there."""
    resource = _own(event.envelope["event"][name], definition)
    revision = revision_of(event)
    assert revision is not None, f"event {event.id} is of no revision"
    created_at = known["created_at"] if known else event.raised_at
    return {
        "_id": event.resource_id,
        "revision": revision,
        "created_at": created_at,
        "changed_at": event.raised_at,
        "resource": resource,
        "outbox": [],
        "published_at": event.raised_at,
    }


def product_parts(product: ProductChanged) -> dict[str, Any]:
    """Return what a product's document has besides the resource."""
    return {
        "account_id": product.account_id,
        "identifiers": [identifier.model_dump() for identifier in product.identifiers],
        "suspensions": [suspension.model_dump() for suspension in product.suspensions],
        "former_offerings": [former.model_dump() for former in product.former_offerings],
    }


def adopted_subscription(subscription: SubscriptionChanged) -> dict[str, Any]:
    """Return the document of a hub subscription."""
    return {
        "_id": subscription.id,
        "api": subscription.api,
        "callback": subscription.callback,
        "query": subscription.query,
        "subject": subject_of(subscription.api, subscription.callback, subscription.query),
        "revision": 1,
        "changed_at": subscription.changed_at,
        "outbox": [],
    }


def adopted_request(requested: OnDemandBillRequested, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a request for a bill, still in progress: its end is read again. `shown` is its Create event's resource."""
    return {
        "_id": requested.id,
        "account_id": requested.account_id,
        "account_name": shown.get("billingAccount", {}).get("name"),
        "name": requested.name,
        "description": requested.description,
        "related_party": shown.get("relatedParty"),
        "state": OnDemandState.IN_PROGRESS,
        "requested_at": requested.requested_at,
        "last_update_at": requested.requested_at,
        "changed_at": requested.requested_at,
        "published_at": requested.requested_at,
        "revision": 1,
        "outbox": [],
    }


def _own(shown: Mapping[str, Any], definition: str) -> dict[str, Any]:
    """The resource as the client said it, with its date-times as instants."""
    said = {name: value for name, value in shown.items() if name not in _SHOWN_BY_SERVER and (name, value) != ("@type", definition)}
    for name in _REFERENCES:
        if name in said:
            said[name] = [_unlinked(item) for item in said[name]] if isinstance(said[name], list) else _unlinked(said[name])
    return _SCHEMAS[definition](said)


def _unlinked(reference: Mapping[str, Any]) -> dict[str, Any]:
    shown_always = (("@referredType", "BillingAccount"),)
    return {name: value for name, value in reference.items() if name != "href" and (name, value) not in shown_always}


def _conform(schema: Schema, definition: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    # What was accepted once is not judged again: only date-times change their form.
    return lambda said: schema.conform(definition, said, required=False)


_SCHEMAS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "BillingAccount": _conform(ACCOUNT_SCHEMA, "BillingAccount_Create"),
    "Product": _conform(PRODUCT_SCHEMA, "Product_Create"),
    "ProductOffering": _conform(CATALOGUE_SCHEMA, "ProductOffering_Create"),
    "ProductOfferingPrice": _conform(CATALOGUE_SCHEMA, "ProductOfferingPrice_Create"),
    "ProductSpecification": _conform(CATALOGUE_SCHEMA, "ProductSpecification_Create"),
}
