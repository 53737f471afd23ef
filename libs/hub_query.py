"""The `query` of a TM Forum hub subscription: which events a subscriber wants, and which of their attributes.

    eventType=CustomerBillCreateEvent,CustomerBillStateChangeEvent
    eventType=CustomerBillCreateEvent;eventType=CustomerBillStateChangeEvent
    eventType=CustomerBillStateChangeEvent&event.customerBill.state=settled&fields=event.customerBill.billNo

`&` joins conditions that all must hold, `;` alternatives of which one suffices; the two never mix. A comma separates
values of which one suffices. An empty query wants every event, whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from libs.exact_decimal import KEPT, InvalidDecimal, parse_decimal

# Members of the envelope are always sent; naming them in `fields` is allowed and changes nothing.
ENVELOPE_MEMBERS = frozenset(
    {
        "@type",
        "correlationId",
        "description",
        "domain",
        "eventId",
        "eventTime",
        "eventType",
        "fieldPath",
        "href",
        "id",
        "priority",
        "timeOcurred",
        "title",
    }
)
# Where the envelope holds the resource: TMF666 v4 calls `payload` what every other API calls `event`.
_RESOURCE_MEMBERS = ("event", "payload")
# A partial representation of a resource always names it.
_ALWAYS_SELECTED = ("id", "href")


class InvalidHubQuery(ValueError):
    """The query cannot be understood; the message tells the subscriber what to write instead."""


@dataclass(frozen=True)
class Condition:
    """An attribute that must have one of these values. `path` is ("eventType",) or ("event", resource, …)."""

    path: tuple[str, ...]
    values: tuple[str, ...]

    def holds(self, event_type: str, envelope: dict[str, Any]) -> bool:
        """In a list any element may match."""
        if self.path == ("eventType",):
            return event_type in self.values
        return any(_equal(value, wanted) for value in _values_at(envelope, self.path) for wanted in self.values)


@dataclass(frozen=True)
class HubQuery:
    """`any_suffices` when the conditions are alternatives. No `fields`: the whole resource is sent."""

    conditions: tuple[Condition, ...] = ()
    any_suffices: bool = False
    fields: tuple[tuple[str, ...], ...] = ()

    def wants(self, event_type: str, envelope: dict[str, Any]) -> bool:
        """Whether the subscriber gets this event."""
        held = (condition.holds(event_type, envelope) for condition in self.conditions)
        return any(held) if self.any_suffices else all(held)

    def select(self, envelope: dict[str, Any]) -> dict[str, Any]:
        """The envelope with its own members whole, and of the resource the chosen attributes with its id and href."""
        if not self.fields:
            return envelope
        return {
            member: _select_resources(value, self.fields) if member in _RESOURCE_MEMBERS else value for member, value in envelope.items()
        }


@lru_cache(maxsize=4096)
def parse_hub_query(query: str) -> HubQuery:
    """Read a query. Raises InvalidHubQuery."""
    text = query.strip().removeprefix("?")
    if not text:
        return HubQuery()
    if "&" in text and ";" in text:
        raise InvalidHubQuery("'&' and ';' cannot be mixed: separate alternatives by commas, as in eventType=A,B&event.x.state=new")
    alternatives = ";" in text
    pairs = [_pair(part) for part in text.split(";" if alternatives else "&")]
    fields = [value for name, value in pairs if name == "fields"]
    filters = [(name, value) for name, value in pairs if name != "fields"]
    if fields and alternatives:
        raise InvalidHubQuery("fields cannot be one of several alternatives: join it with '&'")
    if len(fields) > 1:
        raise InvalidHubQuery("fields may be given once: separate the attributes by commas")
    if not alternatives:
        _refuse_repeated([name for name, _ in filters])
    return HubQuery(
        conditions=tuple(_condition(name, value) for name, value in filters),
        any_suffices=alternatives,
        fields=_fields(fields[0]) if fields else (),
    )


def _pair(part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    name, value = unquote(name).strip(), value.strip()
    if not equals or not name or not value:
        raise InvalidHubQuery(f"{part!r} is not attribute=value")
    return name, value


def _refuse_repeated(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise InvalidHubQuery(f"{name} is given twice: separate alternatives by commas, as in {name}=A,B")


def _condition(name: str, value: str) -> Condition:
    path = tuple(name.split("."))
    if path != ("eventType",) and (path[0] != "event" or len(path) < 3 or not all(path)):
        raise InvalidHubQuery(f"{name!r} cannot be filtered on: use eventType or event.<resource>.<attribute>")
    # Split before decoding, so that an encoded comma belongs to its value.
    values = tuple(unquote(item).strip() for item in value.split(","))
    if not all(values):
        raise InvalidHubQuery(f"{name}={value} has an empty value")
    return Condition(path, values)


def _fields(value: str) -> tuple[tuple[str, ...], ...]:
    paths = []
    for field in unquote(value).split(","):
        path = tuple(field.strip().split("."))
        if path[0] in ENVELOPE_MEMBERS and len(path) == 1:
            continue
        if path[0] not in _RESOURCE_MEMBERS or not all(path):
            raise InvalidHubQuery(f"fields: {field.strip()!r} is not event.<resource>.<attribute>")
        paths.append(path[1:])
    # Only envelope members were named: of the resource its id and href remain.
    return tuple(paths) or (("*", "id"),)


def _values_at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    if isinstance(node, list):
        for element in node:
            yield from _values_at(element, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _values_at(node[path[0]], path[1:])


def _equal(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    if isinstance(value, int | Decimal):
        try:
            return value == parse_decimal(wanted, KEPT)
        except InvalidDecimal:
            return False
    return value == wanted or _same_instant(value, wanted)


def _same_instant(value: Any, wanted: str) -> bool:
    try:
        return datetime.fromisoformat(value) == datetime.fromisoformat(wanted)
    except (TypeError, ValueError):
        return False


def _select_resources(resources: Any, fields: tuple[tuple[str, ...], ...]) -> Any:
    if () in fields or not isinstance(resources, dict):
        return resources
    selected = {}
    for name, resource in resources.items():
        wanted = [path[1:] for path in fields if path[0] in (name, "*")]
        selected[name] = _select(resource, [*wanted, *((always,) for always in _ALWAYS_SELECTED)])
    return selected


def _select(node: Any, paths: list[tuple[str, ...]]) -> Any:
    if () in paths:
        return node
    if isinstance(node, list):
        return [_select(element, paths) for element in node]
    if not isinstance(node, dict):
        return node
    return {name: _select(value, [path[1:] for path in paths if path[0] == name]) for name, value in node.items() if _named(name, paths)}


def _named(name: str, paths: list[tuple[str, ...]]) -> bool:
    return any(path[0] == name for path in paths)
