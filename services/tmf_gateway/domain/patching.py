"""PATCH of a stored resource: a patch changes what the client reads, and the difference is what it asks to store.

An answer shows more than is stored: ids, links, balances, type names. A client may send back what it has read, whole or in
part. What is as it was shown asks for nothing; what the server sets and is sent otherwise is refused.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from libs.exact_decimal import KEPT
from libs.exact_json import read_json
from services.tmf_gateway.domain.refusal import BadRequest

_ABSENT: Any = object()
Change = Callable[[dict[str, Any]], Any]


def as_read(representation: bytes) -> dict[str, Any]:
    """Return a representation as a client has it once it has read the JSON."""
    return read_json(representation, KEPT)


def wanted_changes(shown: Mapping[str, Any], change: Change, read_only: Mapping[str, str]) -> dict[str, Any]:
    """Return the first-level attributes that a patch changes, with their new values; None stands for an attribute that it removes.
    `read_only` maps each attribute that the server sets to the reason. Raises BadRequest naming one that would be changed."""
    after = change(dict(shown))
    if not isinstance(after, dict):
        raise BadRequest("the patch leaves no JSON object")
    changed = [name for name in {**shown, **after} if not _same(shown.get(name, _ABSENT), after.get(name, _ABSENT))]
    for name in changed:
        if name in read_only:
            raise BadRequest(read_only[name])
    return {name: after.get(name) for name in changed}


def as_merge_patch(stored: Mapping[str, Any], shown: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch of the stored resource that makes `wanted` of what was shown; empty when nothing changes."""
    patch: dict[str, Any] = {}
    for name, value in wanted.items():
        before = stored.get(name, _ABSENT)
        after = _ABSENT if value is None else _unshown(value, shown.get(name, _ABSENT), before)
        if after is _ABSENT and before is not _ABSENT:
            patch[name] = None
        elif after is not _ABSENT and after is not before:
            patch[name] = _difference(before, after)
    return patch


def _unshown(after: Any, shown: Any, stored: Any) -> Any:
    """Return what to store for a value: what is there wherever it is as it was shown. `_ABSENT` where nothing is stored."""
    if _same(after, shown):
        return stored
    if isinstance(after, dict) and isinstance(shown, dict) and isinstance(stored, Mapping):
        members = {name: _unshown(value, shown.get(name, _ABSENT), stored.get(name, _ABSENT)) for name, value in after.items()}
        return {name: value for name, value in members.items() if value is not _ABSENT}
    if isinstance(after, list) and isinstance(shown, list) and isinstance(stored, list) and len(shown) == len(stored):
        return [_unshown_item(index, item, shown, stored) for index, item in enumerate(after)]
    return after


def _unshown_item(index: int, item: Any, shown: list[Any], stored: list[Any]) -> Any:
    """Items of a list keep what is stored of them wherever they move to: the same item, else the one of the same id."""
    order = [*range(index, len(shown)), *range(min(index, len(shown)))]
    place = next((at for at in order if _same(item, shown[at])), None)
    if place is None and isinstance(item, dict) and "id" in item:
        place = next((at for at in order if isinstance(shown[at], dict) and _same(item["id"], shown[at].get("id", _ABSENT))), None)
    return item if place is None else _unshown(item, shown[place], stored[place])


def _difference(before: Any, after: Any) -> Any:
    """Return the merge patch that makes `after` of `before`."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping):
        return after
    removed = dict.fromkeys(name for name in before if name not in after)
    return removed | {
        name: _difference(before.get(name, _ABSENT), value) for name, value in after.items() if value is not before.get(name, _ABSENT)
    }


def _same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same: true is not 1 in JSON, and one instant can be written in several ways."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, str) and isinstance(other, str):
        return one == other or _same_instant(one, other)
    return one == other


def _same_instant(one: str, other: str) -> bool:
    instant = _instant(one)
    return instant is not None and instant == _instant(other)


def _instant(text: str) -> datetime | None:
    # A bare year or date is text like any other.
    if len(text) < len("2026-01-01T00:00Z") or text[10] not in "Tt ":
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def set_by_server(names: Iterable[str], **reasons: str) -> dict[str, str]:
    """Return the reasons by which an attribute of the server's cannot be changed."""
    return {name: f"{name} is set by the server and cannot be changed: leave it out" for name in names} | reasons
