"""The events that each API raises, and the queries of subscriptions that can match one of them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from libs.exact_decimal import KEPT, InvalidDecimal, parse_decimal
from libs.hub_query import Condition, HubQuery
from services.tmf_gateway.domain.events import event_type
from services.tmf_gateway.domain.query import OPERATORS
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Kind, Resource
from services.tmf_gateway.domain.tmf620 import PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION
from services.tmf_gateway.domain.tmf637 import PRODUCT
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT
from services.tmf_gateway.domain.tmf678 import BILL_ON_DEMAND, CUSTOMER_BILL

_BEGIN_AND_STATES = ("Create", "StateChange")
_ALL = ("Create", "StateChange", "AttributeValueChange", "Delete")
RAISED: Mapping[str, Mapping[Resource, Sequence[str]]] = {
    "TMF678": {CUSTOMER_BILL: _BEGIN_AND_STATES, BILL_ON_DEMAND: _BEGIN_AND_STATES},
    "TMF666": {BILLING_ACCOUNT: _ALL},
    "TMF637": {PRODUCT: _ALL},
    "TMF620": dict.fromkeys((PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION), _ALL),
}
_EVENT_TYPE = ("eventType",)


def event_types(api: str) -> dict[str, Resource]:
    """Return the events that an API raises, each with its resource."""
    return {event_type(resource, change): resource for resource, changes in RAISED[api].items() for change in changes}


def check_query(api: str, query: HubQuery) -> None:
    """Raises BadRequest for a condition that no event of the API can ever meet, with what there is instead."""
    types, resources = event_types(api), {resource.name: resource for resource in RAISED[api]}
    meant: list[set[str]] = []
    for condition in query.conditions:
        if condition.path == _EVENT_TYPE:
            _check_event_types(api, condition, types)
            meant.append({types[value].name for value in condition.values})
        else:
            meant.append({_checked_resource(api, condition, resources).name})
    if meant and not query.any_suffices and not set.intersection(*meant):
        raise BadRequest(f"query: no event is of {' and '.join(sorted({name for names in meant for name in names}))} at once")


def _check_event_types(api: str, condition: Condition, types: Iterable[str]) -> None:
    for value in condition.values:
        if value not in types:
            raise BadRequest(f"query: {api} has no event {value[:200]!r}; it has {', '.join(sorted(types))}")


def _checked_resource(api: str, condition: Condition, resources: Mapping[str, Resource]) -> Resource:
    _, name, *steps = condition.path
    resource, path = resources.get(name), ".".join(steps)
    if resource is None:
        raise BadRequest(f"query: {api} has no events of {name[:200]!r}; it has those of {', '.join(resources)}")
    if steps[-1] in OPERATORS:
        raise BadRequest(f"query: the hub compares for equality only, so that {'.'.join(condition.path)[:200]} would never match: use =")
    kind = resource.schema.kind(resource.definition, path)
    if kind is None:
        attributes = ", ".join(sorted(resource.attributes))
        raise BadRequest(f"query: {path[:200]!r} of {name} is no attribute that has a value; the attributes of {name} are {attributes}")
    words = resource.schema.words(resource.definition, path)
    for value in condition.values:
        if (words and value not in words) or not _can_equal(kind, value):
            one_of = f"one of {', '.join(words)}" if words else f"a {kind.value}"
            raise BadRequest(f"query: {'.'.join(condition.path)[:200]} is {one_of}, never {value[:200]!r}")
    return resource


def _can_equal(kind: Kind, value: str) -> bool:
    try:
        if kind is Kind.NUMBER:
            parse_decimal(value, KEPT)
        elif kind is Kind.INSTANT:
            datetime.fromisoformat(value)
    except (InvalidDecimal, ValueError):
        return False
    return kind is not Kind.BOOLEAN or value.lower() in ("true", "false")
