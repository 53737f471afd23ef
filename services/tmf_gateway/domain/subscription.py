"""Hub subscriptions: who wants to hear of which events of an API."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from libs.contracts import SubscriptionChanged
from libs.hub_query import InvalidHubQuery, parse_hub_query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document, Representation

URL_LENGTH_MAX = 2_048


def new_subscription(body: Mapping[str, Any], api: str, id: str, now: datetime) -> dict[str, Any]:
    """The document of a subscription to events of `api`. Raises BadRequest."""
    callback, query = body.get("callback"), body.get("query") or ""
    if not isinstance(callback, str) or not _is_http_url(callback):
        raise BadRequest("callback must be an absolute http or https URL")
    if not isinstance(query, str) or len(query) > URL_LENGTH_MAX:
        raise BadRequest(f"query must be text of at most {URL_LENGTH_MAX} characters")
    try:
        parse_hub_query(query)
    except InvalidHubQuery as error:
        raise BadRequest(f"query: {error}") from None
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
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
