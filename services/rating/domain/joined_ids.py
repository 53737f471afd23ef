"""Ids that are joined of parts: two different lists of parts never make one id, and no id is too long."""

import hashlib

ID_LENGTH_MAX = 256
BAR = "|"
# An escaped part holds one of these: a part that was not escaped must not.
_ESCAPES = ("%7C", "%25")


def joined_id(*parts: str) -> str:
    """Join parts by bars. Parts are escaped where one holds a bar or an escape; a joined id above 256 characters becomes its digest."""
    joined = BAR.join(parts)
    # Once for each usage: to look at the joined text costs a quarter of looking at each part.
    if joined.count(BAR) >= len(parts) or ("%" in joined and any(escape in joined for escape in _ESCAPES)):
        joined = BAR.join(part.replace("%", "%25").replace(BAR, "%7C") for part in parts)
    if len(joined) > ID_LENGTH_MAX:
        return hashlib.sha256(joined.encode()).hexdigest()
    return joined
