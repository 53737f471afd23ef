"""Hub subscriptions: who wants to hear of which events of an API."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from libs.contracts import SubscriptionChanged
from libs.hub_query import InvalidHubQuery, parse_hub_query
from services.tmf_gateway.domain.hub_catalogue import check_query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document, Representation, Resource, Stored
from services.tmf_gateway.domain.schema import Schema

URL_LENGTH_MAX = 2_048
_STORED = {"id": Stored("_id"), "callback": Stored("callback"), "query": Stored("query")}


def new_subscription(body: Mapping[str, Any], api: str, id: str, now: datetime) -> dict[str, Any]:
    """The document of a subscription to events of `api`. Raises BadRequest."""
    callback, query = body.get("callback"), body.get("query") or ""
    if not isinstance(callback, str) or not _is_http_url(callback):
        raise BadRequest("callback must be an absolute http or https URL without credentials: events are signed")
    if not isinstance(query, str) or len(query) > URL_LENGTH_MAX:
        raise BadRequest(f"query must be text of at most {URL_LENGTH_MAX} characters")
    try:
        parsed = parse_hub_query(query)
    except InvalidHubQuery as error:
        raise BadRequest(f"query: {error}") from None
    check_query(api, parsed)
    return {
        "_id": id,
        "api": api,
        "callback": callback,
        "query": query,
        "subject": subject_of(api, callback, query),
        "revision": 1,
        "changed_at": now,
    }


def subject_of(api: str, callback: str, query: str) -> str:
    """Return what only one subscription may have: the same callback with the same query."""
    return hashlib.sha256("\n".join((api, callback, query)).encode()).hexdigest()


def event_subscription(subscription: Document) -> Representation:
    """TMF EventSubscription."""
    query = {"query": subscription["query"]} if subscription["query"] else {}
    return {"id": subscription["_id"], "callback": subscription["callback"], **query}


def subscription_resource(api: str, base_path: str, schema: Schema) -> Resource:
    """Return what is known of the subscriptions of one API, to list them."""
    return Resource(
        api,
        base_path,
        "hub",
        "EventSubscription",
        frozenset(_STORED),
        _STORED.get,
        lambda document, _: event_subscription(document),
        newest_first=(("changed_at", -1), ("_id", -1)),
        schema=schema,
        unread=("outbox",),
    )


def subscription_fact(subscription: Document, *, removed: bool = False) -> SubscriptionChanged:
    """What the notifications service hears of a subscription."""
    return SubscriptionChanged(
        id=subscription["_id"],
        api=subscription["api"],
        callback=subscription["callback"],
        query=subscription["query"],
        removed=removed,
        changed_at=subscription["changed_at"],
    )


def _is_http_url(text: str) -> bool:
    if len(text) > URL_LENGTH_MAX or any(character <= " " or character == "\x7f" for character in text):
        return False
    try:
        parts = urlsplit(text)
        # Reading the port is what checks it.
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
