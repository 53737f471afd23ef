"""Messages that are nearly right: one value of a good one is replaced, removed, repeated or swapped for another."""

import json
import random
import re
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]

# JSON numbers that Python's encoder does not write; they stand in for themselves until the message is bytes.
_RAW = {f"<raw {number}>": number for number in ("1e400", "-1e400", "1e-400", "1e19", "1e6144", "NaN", "1.5", "-0.0")}
_DECIMALS = (
    "1e6144",
    "1e-6176",
    "1e33",
    "-1e33",
    "9" * 34,
    "9" * 35,
    "9" * 25,
    "-" + "9" * 21,
    "0." + "0" * 33 + "1",
    "0.000001",
    "-1",
    "0",
)
_INSTANTS = (
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T00:00:00Z",
    "9999-12-31T23:59:59-14:00",
    "1969-12-31T23:59:59Z",
    "2026-03-02T10:00:00Z",
    "2026-04-01T00:00:00Z",
)
_TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "x" * 250,
    "x" * 256,
    "x" * 257,
    "é" * 256,
    "|" * 256,
    "%|" * 120,
    "x" * 4096,
    "x" * 4097,
    "x" * 100_000,
    "$where",
    "$",
    ".",
    "a.b.c",
    "..",
    "1_000",
    "١٢٣",
    "NaN",
    "-Infinity",
    *_DECIMALS,
    *_INSTANTS,
    "EUR",
    "JPY",
    "KWD",
    "XXX",
    "Mars/Olympus",
    "Pacific/Kiritimati",
    "America/Adak",
    "../../etc/passwd",
    "2026-13",
    "9999-12",
    "0001-01",
    "2026-03",
)
_NUMBERS = (0, 1, -1, 2**31, 2**53, 10**15, 10**15 + 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**33, 10**34, 10**40)
_OTHERS = (None, True, False, [], {}, [[]], {"": ""}, {"$inc": "1"}, {"a.b": "1"}, {"\x00": 1}, ["\x00"], [None])


def mutated(message: bytes, chance: random.Random) -> bytes:
    """Return the message with one to three changes, decided by `chance`."""
    body = json.loads(message)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        _change(body, chance)
    told = json.dumps(body)
    for stand_in, number in _RAW.items():
        told = told.replace(f'"{stand_in}"', number)
    return told.encode()


def _change(body: Any, chance: random.Random) -> None:
    places = list(_places(body))
    if not places:
        return
    path = chance.choice(places)
    holder = _at(body, path[:-1])
    match chance.randrange(12):
        case 0:
            del holder[path[-1]]
        case 1:
            holder[path[-1]] = _copied(_at(body, chance.choice(places)))
        case 2 if isinstance(holder, list):
            holder.extend(_copied(holder[path[-1]]) for _ in range(chance.choice((1, 1, 50))))  # type: ignore[index]
        case 3:
            holder[path[-1]] = _nested(chance.choice((5, 40, 70)))
        case 4:
            holder[path[-1]] = chance.choice((*_NUMBERS, *_RAW))
        case 5:
            holder[path[-1]] = _copied(chance.choice(_OTHERS))
        case 6 if isinstance(holder[path[-1]], str):
            holder[path[-1]] += chance.choice(_TEXTS)
        case _:
            holder[path[-1]] = _like(holder[path[-1]], chance)


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for step, inner in items:
        yield (*path, step)
        yield from _places(inner, (*path, step))


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _like(value: Any, chance: random.Random) -> Any:
    """Return another value of the same kind, which a type may let pass."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return chance.choice(_NUMBERS)
    if not isinstance(value, str):
        return _copied(chance.choice(_OTHERS))
    for kind in (_DECIMALS, _INSTANTS):
        if value in kind or _looks_like(value, kind):
            return chance.choice(kind)
    return chance.choice(_TEXTS)


def _looks_like(value: str, kind: tuple[str, ...]) -> bool:
    pattern = r"-?[0-9.]+" if kind is _DECIMALS else r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*"
    return re.fullmatch(pattern, value) is not None


def _copied(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"a": [value]}
    return value
