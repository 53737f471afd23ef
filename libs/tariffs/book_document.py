"""A rate book with its terms as they are written: what people are shown, and what is compared, is the text that they know.

`terms` are nested dictionaries, lists and texts; the book has been read, so they are sound.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from libs.pricing import RateBook, parse_rate_book
from libs.pricing.yaml_source import Mapping as MappingNode
from libs.pricing.yaml_source import Node, Scalar, Sequence, read_yaml

# What an offering takes from its book unless it says so itself.
INHERITED = ("rounding", "crossing")


@dataclass(frozen=True)
class BookDocument:
    """`source` says where it is from: a file, or the word published. `tree` is the text with its lines."""

    book: RateBook
    terms: Mapping[str, Any]
    source: str
    tree: Node

    @property
    def offerings(self) -> Mapping[str, Mapping[str, Any]]:
        """The terms of each offering, with those that it takes from the book."""
        inherited = {key: self.terms[key] for key in INHERITED if key in self.terms}
        return {name: {**inherited, **terms} for name, terms in self.terms["offerings"].items()}

    def named(self, kind: str, name: str) -> Any:
        """What the book declares under a name: `kind` is zones, time_bands, holidays or roaming_zones."""
        return self.terms.get(kind, {}).get(name)


def read_book_document(text: str, file: str) -> BookDocument:
    """The book of a text, as written. Raises RateBookInvalid."""
    book = parse_rate_book(text, file)
    tree, _ = read_yaml(text, file)
    return BookDocument(book, plain(tree), file, tree)


def plain(node: Node) -> Any:
    """A tree without its places."""
    match node:
        case Scalar(text):
            return text
        case Sequence(items):
            return [plain(item) for item in items]
        case MappingNode(entries):
            return {key: plain(value) for key, value in entries.items()}
    raise AssertionError("a sound book has no refused value")


def as_list(terms: Any) -> list[Any]:
    """A single value stands for a list of one, as in a rate book."""
    if terms is None:
        return []
    return list(terms) if isinstance(terms, list) else [terms]
