"""Filters and sort keys of a query as MongoDB's own: known attributes and a whitelist of operators only.

A value is always an operand, never a document, so nothing that a client sends can become an operator.
"""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.exact_decimal import KEPT, InvalidDecimal, parse_decimal
from services.tmf_gateway.domain.links import Links, id_of
from services.tmf_gateway.domain.query import Filter, Query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Kind, Resource, Stored

REGEX_LENGTH_MAX = 128
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}|\d{4}-?W\d{2}-?\d")
_MATCHES_NOTHING: dict[str, Any] = {"_id": {"$in": []}}
_ORDER_OPERATORS = {"gt": "$gt", "gte": "$gte", "lt": "$lt", "lte": "$lte"}


def mongo_filter(query: Query, resource: Resource, links: Links) -> dict[str, Any]:
    """The condition that all filters, or for alternatives any, put on a document. Raises BadRequest."""
    conditions = [_condition(filter_, resource, links) for filter_ in query.filters]
    if not conditions:
        return {}
    if len(conditions) == 1:
        return conditions[0]
    return {"$or" if query.any_suffices else "$and": conditions}


def mongo_sort(query: Query, resource: Resource) -> list[tuple[str, int]]:
    """Newest first unless the client chose; the id breaks ties, so that pages do not overlap. Raises BadRequest."""
    if not query.sort:
        return list(resource.newest_first)
    keys: dict[str, int] = {}
    for key in query.sort:
        stored = resource.stored(key.path)
        if stored.kind is Kind.CONSTANT:
            raise BadRequest(f"{key.path} is the same everywhere: it has no order")
        keys.setdefault(stored.path, -1 if key.descending != stored.reversed else 1)
    keys.setdefault("_id", 1)
    return list(keys.items())


def _condition(filter_: Filter, resource: Resource, links: Links) -> dict[str, Any]:
    if filter_.path == "@type":
        return _on_type(filter_, resource)
    stored = resource.stored(filter_.path)
    if stored.kind is Kind.CONSTANT:
        return _on_constant(filter_, stored)
    if stored.kind is Kind.INSTANT and filter_.operator != "regex":
        return _on_instant(filter_, stored.path)
    if filter_.operator == "regex":
        return _any(stored.path, [{"$regex": _regex(value, stored, filter_)} for value in filter_.values])
    if filter_.operator in _ORDER_OPERATORS:
        operator = _ORDER_OPERATORS[filter_.operator]
        if stored.words is not None or stored.kind in (Kind.HREF, Kind.BOOLEAN):
            raise BadRequest(f"{filter_.path} has no order: compare it with = or .ne=")
        return _any(stored.path, [{operator: operand} for value in filter_.values for operand in _operands(value, stored, filter_, links)])
    operands = [operand for value in filter_.values for operand in _operands(value, stored, filter_, links)]
    if filter_.operator == "ne":
        return {stored.path: {"$nin": operands}}
    return {stored.path: {"$in": operands} if len(operands) != 1 else {"$eq": operands[0]}}


def _on_type(filter_: Filter, resource: Resource) -> dict[str, Any]:
    if filter_.operator not in ("eq", "ne"):
        raise BadRequest("@type can be compared with = or .ne= only")
    if resource.type_path is not None:
        # None is what is not there.
        wanted = [*filter_.values, *([None] if resource.definition in filter_.values else ())]
        return {resource.type_path: {"$in" if filter_.operator == "eq" else "$nin": wanted}}
    return {} if (resource.definition in filter_.values) == (filter_.operator == "eq") else _MATCHES_NOTHING


def _on_constant(filter_: Filter, stored: Stored) -> dict[str, Any]:
    """Where the document has the path, the attribute is shown with its one value; elsewhere it is not shown at all."""
    if filter_.operator not in ("eq", "ne"):
        raise BadRequest(f"{filter_.path} can be compared with = or .ne= only")
    if filter_.operator == "ne":
        return {stored.path: None} if stored.shown in filter_.values else {}
    return {stored.path: {"$ne": None}} if stored.shown in filter_.values else _MATCHES_NOTHING


def _on_instant(filter_: Filter, path: str) -> dict[str, Any]:
    """A date without a time means that day, from midnight to midnight in UTC."""
    spans = [_span(value, filter_.path) for value in filter_.values]
    match filter_.operator:
        case "gte":
            return _any(path, [{"$gte": start} for start, _ in spans])
        case "gt":
            return _any(path, [{"$gt": start} if end is None else {"$gte": end} for start, end in spans])
        case "lt":
            return _any(path, [{"$lt": start} for start, _ in spans])
        case "lte":
            return _any(path, [{"$lte": start} if end is None else {"$lt": end} for start, end in spans])
    within = [{"$eq": start} if end is None else {"$gte": start, "$lt": end} for start, end in spans]
    if filter_.operator == "eq":
        return _any(path, within)
    return {"$nor": [{path: condition} for condition in within]}


def _span(value: str, path: str) -> tuple[datetime, datetime | None]:
    start = _instant(value, path)
    return start, _next_day(start, path) if _DATE.fullmatch(value.strip()) else None


def _next_day(start: datetime, path: str) -> datetime:
    try:
        return start + timedelta(days=1)
    except OverflowError:
        raise BadRequest(f"{path}: {start:%Y-%m-%d} is the calendar's last day, give a time with it") from None


def _any(path: str, conditions: list[dict[str, Any]]) -> dict[str, Any]:
    alternatives = [{path: condition} for condition in conditions]
    return alternatives[0] if len(alternatives) == 1 else {"$or": alternatives}


def _operands(value: str, stored: Stored, filter_: Filter, links: Links) -> list[Any]:
    """The stored values that a written value stands for: usually one."""
    if stored.words is not None:
        word = str(_boolean(value, filter_.path)).lower() if stored.kind is Kind.BOOLEAN else value
        return list(stored.words.get(word, ()))
    match stored.kind:
        case Kind.NUMBER:
            return [_number(value, filter_.path)]
        case Kind.BOOLEAN:
            return [_boolean(value, filter_.path)]
        case Kind.HREF:
            return [id_of(value)] if value.startswith(links.base_url) else []
        case Kind.ANY:
            return [*_texts(value), *_number_or_boolean(value)]
        case _:
            # None is what is not there: the value is filled in when it is shown.
            return [*_texts(value), None] if stored.shown is not None and value == stored.shown else _texts(value)


def _texts(value: str) -> list[str]:
    # An unencoded + arrives as a blank, and phone numbers begin with one.
    return [value, "+" + value[1:]] if value.startswith(" ") and value[1:].isdecimal() else [value]


def _instant(value: str, path: str) -> datetime:
    # The + of an offset that was not encoded arrives as a blank.
    text = re.sub(r" (\d\d:?\d\d)$", r"+\1", value.strip())
    try:
        instant = datetime.fromisoformat(text)
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadRequest(f"{path} is a date-time such as 2026-03-01T00:00:00Z, not {value[:50]!r}") from None


def _number(value: str, path: str) -> Decimal:
    try:
        return parse_decimal(value.strip(" "), KEPT)
    except InvalidDecimal as error:
        raise BadRequest(f"{path} is a number: {error}") from None


def _boolean(value: str, path: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadRequest(f"{path} is true or false, not {value[:50]!r}")
    return value.lower() == "true"


def _number_or_boolean(value: str) -> list[Any]:
    if value.lower() in ("true", "false"):
        return [value.lower() == "true"]
    try:
        return [_number(value, "")]
    except BadRequest:
        return []


def _regex(pattern: str, stored: Stored, filter_: Filter) -> str:
    if stored.kind not in (Kind.TEXT, Kind.ANY) or stored.words is not None:
        raise BadRequest(f"{filter_.path} is not text: regular expressions do not apply")
    if len(pattern) > REGEX_LENGTH_MAX:
        raise BadRequest(f"a regular expression may have at most {REGEX_LENGTH_MAX} characters")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise BadRequest(f"{pattern!r} is not a regular expression") from None
    return pattern
