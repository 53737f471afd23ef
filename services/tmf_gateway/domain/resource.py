"""What the gateway knows of a TMF resource: its names, where its attributes lie in a document, and how it is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.refusal import BadRequest

if TYPE_CHECKING:
    from services.tmf_gateway.domain.schema import Schema

Document = Mapping[str, Any]
Representation = dict[str, Any]


class Kind(Enum):
    """How values of an attribute compare."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    INSTANT = "instant"
    # A characteristic's value: text, number or boolean.
    ANY = "any"
    # The absolute URL of a resource whose id the document keeps.
    HREF = "href"
    # The same text in every representation that shows the attribute.
    CONSTANT = "constant"


@dataclass(frozen=True)
class Stored:
    """Where an attribute lies in the document. `words` translates TMF's vocabulary into the stored values of each word;
    `reversed` when the stored order of those values is the opposite of TMF's. `shown` is the value of an attribute that the
    gateway fills in: of a CONSTANT wherever the document has the path, of any other where it has no value there."""

    path: str
    kind: Kind = Kind.TEXT
    words: Mapping[str, tuple[str, ...]] | None = None
    reversed: bool = False
    shown: str | None = None


def referred(path: str, type_name: str) -> Stored:
    """The constant @referredType of a reference that is shown where the document has `path`."""
    return Stored(path, Kind.CONSTANT, shown=type_name)


@dataclass(frozen=True, eq=False)
class Resource:
    """`definition` names the resource in its specification; `attributes` are its first-level names; `locate` finds an
    attribute path in the document or returns None; `newest_first` is the order of a list for which none was asked; `type_path` is
    where an @type other than `definition` lies, in documents that may have one; `read_only` gives for each attribute that only the
    server sets the reason why it cannot be changed."""

    api: str
    base_path: str
    name: str
    definition: str
    attributes: frozenset[str]
    locate: Callable[[str], Stored | None]
    render: Callable[[Document, Links], Representation]
    newest_first: tuple[tuple[str, int], ...]
    schema: "Schema"
    unread: tuple[str, ...] = field(default=())
    type_path: str | None = None
    read_only: Mapping[str, str] = field(default_factory=dict)

    def stored(self, path: str) -> Stored:
        """Raises BadRequest for what the resource does not have, and for what cannot be compared."""
        first = path.partition(".")[0]
        if first not in self.attributes:
            raise BadRequest(f"{self.name} has no attribute {first!r}")
        stored = self.locate(path)
        if stored is None:
            raise BadRequest(f"{self.name} cannot be filtered or sorted by {path!r}")
        return stored
