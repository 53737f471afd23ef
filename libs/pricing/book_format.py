"""The versions of the format of rate books. A book that names none has the first, and keeps its meaning for ever.

Since version 2 a book names its home networks, a price that says nothing about roaming is for usage at home, and an `effective_from`
without a time is each account's own midnight.
"""

from libs.pricing.faults import Unreadable

FIRST_FORMAT = 1
CURRENT_FORMAT = 2


def parse_format(text: str) -> int:
    """Return the version. Raises Unreadable."""
    if text not in (str(FIRST_FORMAT), str(CURRENT_FORMAT)):
        raise Unreadable(f"unknown format {text[:80]!r}", f"write {CURRENT_FORMAT}, or leave it out for a book of the first format")
    return int(text)
