"""`fields`: the part of a representation that a client wants; id and href always stay."""

from collections.abc import Iterable
from typing import Any

_ALWAYS = ("id", "href")


def select_fields(representation: dict[str, Any], fields: frozenset[str] | None) -> dict[str, Any]:
    """First-level names and deeper paths such as relatedParty.role; unknown names are ignored."""
    if fields is None:
        return representation
    return _select(representation, [name.split(".") for name in fields])


def _select(value: Any, paths: Iterable[list[str]]) -> Any:
    if isinstance(value, list):
        return [_select(item, paths) for item in value]
    if not isinstance(value, dict):
        return value
    deeper: dict[str, list[list[str]]] = {}
    for first, *rest in paths:
        deeper.setdefault(first, []).append(rest)
    return {
        name: member if name in _ALWAYS or [] in deeper[name] else _select(member, deeper[name])
        for name, member in value.items()
        if name in _ALWAYS or name in deeper
    }
