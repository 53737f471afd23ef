"""YAML as a tree of texts with their lines: nothing is resolved, so 0.17 stays the text `0.17` and never becomes a float.

Refused: anchors and aliases (a billion laughs), tags, several documents, keys given twice, anything beyond the bounds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from libs.pricing.faults import Fault, Place, RateBookInvalid

# A hundred thousand called-number prefixes take two megabytes; a book that is larger went wrong.
TEXT_CHARACTERS_MAX = 8_000_000
# A book is seven levels deep.
DEPTH_MAX = 16


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text, as written."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple["Node", ...]
    place: Place


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys with their values; `keys` are the places of the keys."""

    entries: dict[str, "Node"]
    keys: dict[str, Place]
    place: Place


@dataclass(frozen=True, slots=True)
class Refused:
    """A value whose fault is already told."""

    place: Place


Node = Scalar | Sequence | Mapping | Refused


def read_yaml(text: str, file: str) -> tuple[Node, list[Fault]]:
    """The tree of a document and what is wrong with it. Raises RateBookInvalid when it cannot be read any further."""
    start = Place(file, 1, "")
    if len(text) > TEXT_CHARACTERS_MAX:
        raise RateBookInvalid([start.fault(f"the file has more than {TEXT_CHARACTERS_MAX:,} characters", "divide it into several books")])
    builder = _TreeBuilder(file, yaml.parse(text, Loader=yaml.CBaseLoader))
    try:
        return builder.document(), builder.faults
    except yaml.YAMLError as error:
        raise RateBookInvalid([*builder.faults, _syntax_fault(error, text, file)]) from None


def _syntax_fault(error: yaml.YAMLError, text: str, file: str) -> Fault:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        line, problem = error.problem_mark.line + 1, error.problem
    elif isinstance(error, yaml.reader.ReaderError):
        line, problem = text.count("\n", 0, error.position) + 1, error.reason
    else:
        line, problem = 1, str(error)
    # The reader's lines may be more than Python's: a mark may stand behind the last one.
    has_tab = "\t" in "".join(text.splitlines()[line - 1 : line])
    remedy = (
        "indent with blanks: YAML takes no tabs" if has_tab else "mind indentation, quotes and brackets on this line and the one before"
    )
    return Fault(file, line, "", f"not YAML: {problem}", remedy)


class _TreeBuilder:
    """Turns the parser's events into a tree, one level per call."""

    def __init__(self, file: str, events: Iterator[yaml.Event]) -> None:
        self.faults: list[Fault] = []
        self._file = file
        self._events = events

    def document(self) -> Node:
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise RateBookInvalid([Fault(self._file, 1, "", "the file is empty", "begin with `id:`, `effective_from:` and `currency:`")])
        root = self._node(next(self._events), "", 0)
        next(self._events)
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(self._place(event, ""), "a second document begins", "keep one book per file")
        return root

    def _node(self, event: yaml.Event, path: str, depth: int) -> Node:
        place = self._place(event, path)
        if depth > DEPTH_MAX:
            raise RateBookInvalid([*self.faults, place.fault(f"more than {DEPTH_MAX} levels deep", "no part of a rate book nests so deep")])
        if isinstance(event, yaml.AliasEvent):
            return self._refuse(place, f"alias *{event.anchor} is not allowed", "write the value out, or name a zone or a time band")
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.anchor is not None:
            self._refuse(place, f"anchor &{event.anchor} is not allowed", "remove it; zones and time bands are shared by name")
        if event.tag is not None:
            self._refuse(place, f"tag {event.tag} is not allowed", "remove it; every value is plain text")
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(event.value, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return Sequence(tuple(self._items(path, depth)), place)
        return self._mapping(place, depth)

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        index = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._node(event, f"{path}[{index}]", depth + 1)
            index += 1

    def _mapping(self, place: Place, depth: int) -> Mapping:
        entries: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, place.path, depth + 1)
            name = key.text if isinstance(key, Scalar) else "?"
            path = f"{place.path}.{name}" if place.path else name
            value = self._node(next(self._events), path, depth + 1)
            at = Place(self._file, key.place.line, path)
            if not isinstance(key, Scalar):
                self._refuse(at, "a key must be a plain word", "write `word: value`")
            elif name in entries:
                self._refuse(at, f"given twice, first on line {keys[name].line}", "remove one of the two")
            else:
                entries[name], keys[name] = value, at
        return Mapping(entries, keys, place)

    def _place(self, event: yaml.Event, path: str) -> Place:
        assert event.start_mark is not None, "the parser marks every event"
        return Place(self._file, event.start_mark.line + 1, path)

    def _refuse(self, place: Place, message: str, remedy: str) -> Refused:
        self.faults.append(place.fault(message, remedy))
        return Refused(place)
