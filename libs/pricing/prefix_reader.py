"""Lists of prefixes: of called numbers, or of network codes."""

from collections.abc import Callable

from libs.pricing.called_prefix import parse_prefix
from libs.pricing.reader import Reader
from libs.pricing.yaml_source import Node


def read_prefixes(node: Node, reader: Reader, parse: Callable[[str], str] = parse_prefix) -> tuple[str, ...]:
    """A list of prefixes, none of them twice."""
    prefixes: dict[str, None] = {}
    for item in reader.items(node):
        prefix = reader.value(item, parse, None)
        if prefix in prefixes:
            reader.refuse(item, f"prefix {prefix} is listed twice", "remove one of the two")
        elif prefix is not None:
            prefixes[prefix] = None
    return tuple(prefixes)
