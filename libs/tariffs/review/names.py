"""Names that nothing uses, and usage types that look like a slip of the pen."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from libs.pricing import Fault
from libs.pricing.yaml_source import Mapping, Node, Scalar, Sequence
from libs.tariffs.book_document import BookDocument

# Where a name is declared, and the keys under which it may be used.
USED_UNDER = {
    "zones": ("zone", "zones"),
    "roaming_zones": ("roaming_zone",),
    "time_bands": ("time_band",),
    "holidays": ("holidays", "except_holidays"),
}
WORDS = {"zones": "zone", "roaming_zones": "roaming zone", "time_bands": "time band", "holidays": "holiday calendar"}
KNOWN_USAGE_TYPES = ("voice", "sms", "mms", "data", "video", "message")
# How alike two words are that are taken for one another.
LIKENESS_PERCENT = 75


def name_warnings(document: BookDocument) -> Iterator[Fault]:
    """Names that the book declares and nothing uses, and usage types close to a known one."""
    root = document.tree
    for kind, keys in USED_UNDER.items():
        declared = root.entries.get(kind) if isinstance(root, Mapping) else None
        if isinstance(declared, Mapping):
            used = {text for key in keys for text in _texts_under(key, root, declared if kind == "holidays" else None)}
            for name, place in declared.keys.items():
                if name not in used:
                    yield place.fault(f"nothing uses {WORDS[kind]} {name!r}", "give a price for it, or remove it")
    yield from _odd_usage_types(document)


def _odd_usage_types(document: BookDocument) -> Iterator[Fault]:
    seen: set[str] = set()
    for offering in document.book.offerings.values():
        for price in offering.usage_prices:
            usage_type = price.match.usage_type
            near = get_close_matches(usage_type, KNOWN_USAGE_TYPES, n=1, cutoff=LIKENESS_PERCENT / 100)
            if near and usage_type not in (*KNOWN_USAGE_TYPES, *seen) and not _is_plural(usage_type, near[0]):
                seen.add(usage_type)
                yield price.place.fault(
                    f"usage type {usage_type!r} looks like {near[0]!r}: usage of type {near[0]!r} does not reach this price",
                    f"write {near[0]}, if it is meant",
                )


def _is_plural(word: str, other: str) -> bool:
    return word == f"{other}s"


def _texts_under(key: str, node: Node, apart_from: Node | None) -> Iterator[str]:
    """The texts that stand under a key anywhere in the tree."""
    if node is apart_from:
        return
    if isinstance(node, Mapping):
        for name, value in node.entries.items():
            if name == key and value is not apart_from:
                yield from _texts(value)
            yield from _texts_under(key, value, apart_from)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _texts_under(key, item, apart_from)


def _texts(node: Node) -> Iterable[str]:
    if isinstance(node, Scalar):
        return (node.text,)
    return [item.text for item in node.items if isinstance(item, Scalar)] if isinstance(node, Sequence) else ()
