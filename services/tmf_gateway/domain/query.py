"""The query string of a GET, as TMF630 writes it: fields, sort, offset, limit, and filters.

    a=v  a.gte=v  a%3E%3Dv       a comparison; `a` may be a path such as billingAccount.id
    a=v,w  a=v&a=w  a=v;a=w      one of several values
    a=v;b=w                      one of several attributes; such alternatives do not mix with other filters
    a="v,w"                      quotes keep separators in a value

A Filter is one comparison with all its values; a list of filters means that all hold, `any_suffices` that one does.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

from services.tmf_gateway.domain.refusal import BadRequest

FILTERS_MAX = 50
VALUES_MAX = 200
# More would not fit on a screen, let alone in a client's memory; X-Total-Count and Link tell the rest.
PAGE_SIZE_MAX = 1_000

OPERATORS = ("eq", "ne", "gt", "gte", "lt", "lte", "regex")
_CONTROLS = ("fields", "sort", "offset", "limit")
_LITERALS = {"==": "eq", "!=": "ne", ">=": "gte", "<=": "lte", "=~": "regex", "*=": "regex", ">": "gt", "<": "lt", "=": "eq"}
_COMPARISON = re.compile(
    r"(?P<path>[@\w][\w@.\-]*?)(?:\.(?P<word>eq|ne|gte|gt|lte|lt|regex))?(?P<literal>==|!=|>=|<=|=~|\*=|>|<|=)(?P<value>.*)", re.S
)


@dataclass(frozen=True)
class Filter:
    """`path` compared by `operator` (one of OPERATORS) with `values`: one match suffices, for `ne` none may match."""

    path: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class SortKey:
    """An attribute path and its direction."""

    path: str
    descending: bool


@dataclass(frozen=True)
class Query:
    """What a client asked for. `fields` is None when the whole resource is wanted; `paged` when it chose the page."""

    filters: tuple[Filter, ...] = ()
    any_suffices: bool = False
    fields: frozenset[str] | None = None
    sort: tuple[SortKey, ...] = ()
    offset: int = 0
    limit: int = PAGE_SIZE_MAX
    paged: bool = False


def parse_query(query_string: str) -> Query:
    """Read a raw, still encoded query string. Raises BadRequest."""
    controls, comparisons = _split(query_string)
    filters, any_suffices = _filters(comparisons)
    return Query(
        filters=filters,
        any_suffices=any_suffices,
        fields=_fields(controls.get("fields")),
        sort=_sort(controls.get("sort", [])),
        offset=_count(controls, "offset", 0),
        limit=_limit(controls),
        paged="offset" in controls or "limit" in controls,
    )


def selected_fields(query_string: str) -> frozenset[str] | None:
    """The `fields` of a GET by id; anything else in the query has no meaning there."""
    return _fields(_split(query_string)[0].get("fields"))


def _fields(values: list[str] | None) -> frozenset[str] | None:
    """`none` and the empty selection both leave what every representation has."""
    if values is None:
        return None
    names = {name.strip() for value in values for name in value.split(",")}
    return frozenset(names - {"", "none"})


def _split(query_string: str) -> tuple[dict[str, list[str]], list[str]]:
    """The decoded control parameters by name, and the decoded text of every filter."""
    controls: dict[str, list[str]] = {}
    comparisons = []
    for raw in filter(None, query_string.split("&")):
        text = unquote_plus(raw)
        if "\x00" in text:
            raise BadRequest("the query holds a NUL character")
        name, equals, value = text.partition("=")
        if equals and name in _CONTROLS:
            controls.setdefault(name, []).append(value)
        else:
            comparisons.append(text)
    return controls, comparisons


def _count(controls: dict[str, list[str]], name: str, default: int) -> int:
    values = controls.get(name)
    if values is None:
        return default
    if len(values) > 1:
        raise BadRequest(f"{name} is given more than once")
    # isdecimal alone would accept digits of other scripts.
    if not (values[0].isascii() and values[0].isdecimal() and len(values[0]) <= 18):
        raise BadRequest(f"{name} must be a non-negative integer, not {values[0]!r}")
    return int(values[0])


def _limit(controls: dict[str, list[str]]) -> int:
    limit = _count(controls, "limit", PAGE_SIZE_MAX)
    if limit > PAGE_SIZE_MAX:
        raise BadRequest(f"limit is at most {PAGE_SIZE_MAX}; ask for the rest by offset, as the Link header does")
    return limit


def _sort(values: list[str]) -> tuple[SortKey, ...]:
    # The + of an ascending key arrives as a blank.
    names = [name.strip() for value in values for name in value.split(",")]
    if any(not name.lstrip("+-") for name in names):
        raise BadRequest("sort must name attributes, as in sort=-billDate,billNo")
    return tuple(SortKey(name.lstrip("+-"), name.startswith("-")) for name in names)


def _filters(texts: list[str]) -> tuple[tuple[Filter, ...], bool]:
    groups = [_alternatives(text) for text in texts]
    any_suffices = any(len({(path, operator) for path, operator, _ in group}) > 1 for group in groups)
    if any_suffices and len(groups) > 1:
        raise BadRequest("alternatives over several comparisons (a=v;b=w) cannot be combined with further filters")
    merged: dict[tuple[str, str], list[str]] = {}
    for path, operator, values in (comparison for group in groups for comparison in group):
        merged.setdefault((path, operator), []).extend(values)
    if len(merged) > FILTERS_MAX or sum(map(len, merged.values())) > VALUES_MAX:
        raise BadRequest(f"at most {FILTERS_MAX} filters with {VALUES_MAX} values in all")
    return tuple(Filter(path, operator, tuple(values)) for (path, operator), values in merged.items()), any_suffices


def _alternatives(text: str) -> list[tuple[str, str, list[str]]]:
    """The comparisons of one `&` part: `a=1;b=2` has two, and `a=1;2` one with two values."""
    first, *rest = _split_outside_quotes(text, ";")
    comparisons = [_comparison(first)]
    for segment in rest:
        if _COMPARISON.fullmatch(segment):
            comparisons.append(_comparison(segment))
        else:
            comparisons[-1][2].extend(_values(segment))
    return comparisons


def _comparison(text: str) -> tuple[str, str, list[str]]:
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise BadRequest(f"{text[:100]!r} is not a filter such as state=new or billDate.gte=2026-01-01")
    path, word, literal, value = match.group("path", "word", "literal", "value")
    operator = _LITERALS[literal]
    if word is not None:
        if operator != "eq":
            raise BadRequest(f"{text[:100]!r} has two operators")
        operator = word
    # A regular expression has commas of its own, as in a{1,3}.
    return path, operator, [_unquoted(value)] if operator == "regex" else _values(value)


def _values(text: str) -> list[str]:
    return [_unquoted(value) for value in _split_outside_quotes(text, ",")]


def _split_outside_quotes(text: str, separator: str) -> list[str]:
    parts, quoted = [""], False
    for character in text:
        quoted ^= character == '"'
        if character == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] == '"' else text
