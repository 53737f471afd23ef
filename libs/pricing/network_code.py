"""Codes of mobile networks: three digits of the country and two or three of the network, or the beginning of one."""

import re

from libs.pricing.faults import Unreadable

# Where a usage says in which network it was made.
VISITED_NETWORK = "visited_network"

_CODE = re.compile(r"\d{1,6}", re.ASCII)


def parse_network_code(text: str) -> str:
    """Raises Unreadable."""
    if not _CODE.fullmatch(text):
        raise Unreadable(f"{text[:80]!r} is not the beginning of a network code", "write up to six digits, as in 214 or 21407")
    return text
