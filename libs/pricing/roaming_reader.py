"""What a book says about roaming: its home networks, and where its prices and allowances are for."""

from libs.pricing.book_format import CURRENT_FORMAT
from libs.pricing.book_terms import BookTerms
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.network_code import parse_network_code
from libs.pricing.prefix_reader import read_prefixes
from libs.pricing.reader import Reader
from libs.pricing.roaming import NO_HOME_NETWORK, Roaming
from libs.pricing.yaml_source import Mapping, Node, Scalar


def read_home_networks(tree: Node, node: Node | None, format: int, reader: Reader) -> tuple[str, ...] | None:
    """Return the home networks of a book; None for a book of the first format, which has none."""
    if format < CURRENT_FORMAT:
        if node is not None:
            reader.refuse(node, "`home_networks` belongs to a book of the second format", f"add `format: {CURRENT_FORMAT}`, or remove it")
        return None
    if node is None:
        if isinstance(tree, Mapping):
            reader.refuse(
                tree,
                "'home_networks' is missing",
                f'list the codes of your own networks, as in `home_networks: ["21407"]`, or write `home_networks: {NO_HOME_NETWORK}`',
            )
        return ()
    if isinstance(node, Scalar) and node.text == NO_HOME_NETWORK:
        return ()
    return read_prefixes(node, reader, parse_network_code)


def read_roaming(node: Node | None, terms: BookTerms, default: Roaming | None) -> Roaming | None:
    """Return where a price or an allowance is for; None in a book that does not name its home networks."""
    if terms.home_networks is None:
        if node is not None:
            terms.reader.refuse(
                node, "`roaming` needs a book that names its home networks", f"add `format: {CURRENT_FORMAT}` and `home_networks:`"
            )
        return None
    return terms.reader.value(node, _parse_roaming, default)


def _parse_roaming(text: str) -> Roaming:
    known = [roaming.value for roaming in Roaming]
    if text not in known:
        raise Unreadable(f"unknown roaming {text[:80]!r}", suggest(text, known, f"use {', '.join(known)}"))
    return Roaming(text)
