"""Collisions: two workers, or two deliveries, were about to decide the same thing. The second looks again and goes on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.errors import BulkWriteError

DUPLICATE_KEY = 11000
# What adding to a sealed charge is answered.
TYPE_MISMATCH = 14


class Collision(Exception):
    """Somebody was first: a usage is decided already, a charge was cut, a suspended usage was resolved. Nothing was stored."""


@contextmanager
def collisions() -> Iterator[None]:
    """Raise Collision for a duplicate key or a sealed charge within; anything else goes on as it is."""
    try:
        yield
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        if details.get("writeConcernErrors") or any(
            fault["code"] not in (DUPLICATE_KEY, TYPE_MISMATCH) for fault in details["writeErrors"]
        ):
            raise
        raise Collision from error
