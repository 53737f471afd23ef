"""Prefixes of called numbers: `+34`, `+1415`, a short code such as `112`, and `+` for any number in E.164."""

import re

from libs.pricing.faults import Unreadable

_PREFIX = re.compile(r"\+\d{0,15}|[\d*#]{1,16}", re.ASCII)


def parse_prefix(text: str) -> str:
    """Raises Unreadable."""
    if not _PREFIX.fullmatch(text):
        raise Unreadable(
            f"{text[:80]!r} is not the beginning of a called number", "write a plus and up to 15 digits, as in +34, or a short code"
        )
    return text
