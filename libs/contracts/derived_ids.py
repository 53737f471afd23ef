"""Ids that are derived from other ids: never too long, and never the same for different ones."""

import hashlib

from libs.contracts.fact import ID_LENGTH_MAX

BAR = "|"
# An escaped part holds one of these: a part that was not escaped must not.
_ESCAPES = ("%7C", "%25")


def joined_id(*parts: str) -> str:
    """Join parts by bars. Parts are escaped where one holds a bar or an escape; a joined id that is too long becomes its digest."""
    joined = BAR.join(parts)
    # Once for each usage: to look at the joined text costs a quarter of looking at each part.
    if joined.count(BAR) >= len(parts) or ("%" in joined and any(escape in joined for escape in _ESCAPES)):
        joined = BAR.join(part.replace("%", "%25").replace(BAR, "%7C") for part in parts)
    return fitting_id(joined)


def fitting_id(derived: str) -> str:
    """Return a derived id as it is, or its digest where it is longer than an id may be."""
    return derived if len(derived) <= ID_LENGTH_MAX else hashlib.sha256(derived.encode()).hexdigest()
