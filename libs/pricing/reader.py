"""Reads typed values out of a YAML tree and notes every fault on the way, so that one look at a book finds them all.

A value that cannot be read is replaced by a harmless placeholder; a book with any fault is never let out.
"""

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Names
from typing import TypeVar

from libs.pricing.faults import Fault, Unreadable, suggest
from libs.pricing.yaml_source import Mapping, Node, Refused, Scalar, Sequence

T = TypeVar("T")

TEXT_LENGTH_MAX = 200
# Where a name is declared, when that is not called as the thing itself.
DECLARED_UNDER = {"holiday calendar": "holidays"}
# Ids become parts of derived ids, which are joined with a vertical bar.
_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


class Reader:
    """`faults` grows while values are read. Every method takes None for a value whose absence is already told."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.faults: list[Fault] = list(faults)

    def refuse(self, node: Node, message: str, remedy: str) -> None:
        """Note a fault of this value."""
        self.faults.append(node.place.fault(message, remedy))

    def fields(self, node: Node | None, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Node]:
        """The known keys of a mapping; missing and unknown ones are faults."""
        if node is None or isinstance(node, Refused):
            return {}
        known = (*required, *optional)
        if not isinstance(node, Mapping):
            self.refuse(node, f"{_kind(node)} where a mapping belongs", f"write it as keys and values: {', '.join(known)}")
            return {}
        for key, place in node.keys.items():
            if key not in known:
                is_rest_of_number = key.isascii() and key.isdigit()
                remedy = "write a decimal point: a comma ends the value here" if is_rest_of_number else f"use {', '.join(known)}"
                self.faults.append(place.fault(f"unknown key {key[:80]!r}", suggest(key, known, remedy)))
        if not node.entries and not required:
            self.refuse(node, "nothing is said here", f"add {' or '.join(f'`{key}:`' for key in optional[:2])}")
        for key in required:
            if key not in node.entries:
                self.refuse(node, f"{key!r} is missing", f"add `{key}:`")
        return {key: value for key, value in node.entries.items() if key in known}

    def named(self, node: Node | None, what: str) -> dict[str, Node]:
        """A mapping from names that the book chooses itself."""
        if node is None or isinstance(node, Refused):
            return {}
        if not isinstance(node, Mapping):
            self.refuse(node, f"{_kind(node)} where a mapping belongs", f"write `name: {what}` for each")
            return {}
        for name, place in node.keys.items():
            if not _IDENTIFIER.fullmatch(name):
                self.faults.append(
                    place.fault(f"{name[:80]!r} is not a name", "use letters, digits, points, hyphens and underscores, at most 64")
                )
        return node.entries

    def items(self, node: Node | None) -> tuple[Node, ...]:
        """A list; a single value counts as a list of one."""
        if node is None or isinstance(node, Refused):
            return ()
        if not isinstance(node, Sequence):
            return (node,)
        if not node.items:
            self.refuse(node, "the list is empty", "fill it or leave the key out")
        return node.items

    def value(self, node: Node | None, parse: Callable[[str], T], placeholder: T) -> T:
        """What `parse` makes of the text."""
        if node is None or isinstance(node, Refused):
            return placeholder
        if not isinstance(node, Scalar):
            self.refuse(node, f"{_kind(node)} where one value belongs", "write a single value")
            return placeholder
        try:
            return parse(node.text)
        except Unreadable as error:
            self.refuse(node, error.message, error.remedy)
            return placeholder

    def text(self, node: Node | None) -> str:
        """A text for people."""
        return self.value(node, _parse_text, "")

    def identifier(self, node: Node | None) -> str:
        """A name for machines; empty when it cannot be read."""
        return self.value(node, _parse_identifier, "")

    def reference(self, node: Node | None, known: Names[str, T], what: str) -> T | None:
        """What the book declares under the name that this value gives."""

        declared_under = DECLARED_UNDER.get(what, f"{what.replace(' ', '_')}s")

        def find(name: str) -> T | None:
            if name not in known:
                raise Unreadable(f"unknown {what} {name[:80]!r}", suggest(name, list(known), f"declare it under `{declared_under}:`"))
            return known[name]

        return self.value(node, find, None)


def _parse_text(text: str) -> str:
    if not text.strip():
        raise Unreadable("the text is empty", "say something, or leave the key out")
    if len(text) > TEXT_LENGTH_MAX:
        raise Unreadable(f"the text has {len(text)} characters", f"use at most {TEXT_LENGTH_MAX}")
    return text.strip()


def _parse_identifier(text: str) -> str:
    if not _IDENTIFIER.fullmatch(text):
        raise Unreadable(f"{text[:80]!r} is not an id", "use letters, digits, points, hyphens and underscores, at most 64")
    return text


def _kind(node: Node) -> str:
    return {Scalar: "a single value", Sequence: "a list", Mapping: "a mapping"}[type(node)]
