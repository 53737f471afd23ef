"""Prefixes that no called number begins with, once it is in E.164."""

from collections.abc import Iterator

from libs.pricing import Fault
from libs.pricing.intake.dialled import BEGINNINGS, NUMBER_DIGITS_MIN
from libs.pricing.yaml_source import Mapping, Node, Scalar, Sequence
from libs.tariffs.book_document import BookDocument

_BEGINNING_LENGTH = len(next(iter(BEGINNINGS)))


def prefix_warnings(document: BookDocument) -> Iterator[Fault]:
    """Prefixes of zones, prices and allowances that called numbers never have."""
    root = document.tree
    zones = root.entries.get("zones") if isinstance(root, Mapping) else None
    if isinstance(zones, Mapping):
        for zone in zones.entries.values():
            yield from _odd_prefixes(zone)
    yield from _under_called(root)


def _under_called(node: Node) -> Iterator[Fault]:
    if isinstance(node, Mapping):
        for key, value in node.entries.items():
            yield from _odd_prefixes(value) if key == "called" else _under_called(value)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _under_called(item)


def _odd_prefixes(node: Node) -> Iterator[Fault]:
    for item in node.items if isinstance(node, Sequence) else (node,):
        if isinstance(item, Scalar):
            odd = _odd(item.text)
            if odd is not None:
                yield item.place.fault(*odd)


def _odd(prefix: str) -> tuple[str, str] | None:
    """What is odd about a prefix, and what to write."""
    if prefix.startswith("00"):
        return f"no called number begins with {prefix}: numbers are in E.164", f"write +{prefix.lstrip('0')}"
    if prefix.isdigit() and len(prefix) >= NUMBER_DIGITS_MIN:
        return (
            f"no called number begins with {prefix}: this is no short code, and numbers are in E.164",
            "write a plus and the country's code",
        )
    if not prefix.startswith("+") or prefix == "+":
        return None
    beginning = prefix[:_BEGINNING_LENGTH]
    if any(known.startswith(beginning) for known in BEGINNINGS):
        return None
    return f"no number in E.164 begins with {prefix}", "write the country's code behind the plus, without a leading zero, as in +34"
