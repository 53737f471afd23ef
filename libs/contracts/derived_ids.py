"""Ids that are derived from other ids, which may be as long as ids may be."""

import hashlib

from libs.contracts.fact import ID_LENGTH_MAX


def fitting_id(derived: str) -> str:
    """Return a derived id as it is, or its digest where it is longer than an id may be."""
    return derived if len(derived) <= ID_LENGTH_MAX else hashlib.sha256(derived.encode()).hexdigest()
