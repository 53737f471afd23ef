"""Ids that are joined of others: two lists of parts never make the same, and none is too long."""

import hashlib

ID_LENGTH_MAX = 256


def joined_id(*parts: str) -> str:
    """The parts with bars between them, as far as that tells them apart and fits; else escaped, or a digest."""
    joined = "|".join(parts)
    if joined.count("|") != len(parts) - 1:
        joined = "|".join(part.replace("%", "%25").replace("|", "%7C") for part in parts)
    if len(joined) > ID_LENGTH_MAX:
        return hashlib.sha256(joined.encode()).hexdigest()
    return joined
