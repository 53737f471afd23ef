"""Collisions: two workers, or two deliveries, were about to decide the same thing. The second looks again and goes on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo.errors import BulkWriteError

DUPLICATE_KEY = 11000


class Collision(Exception):
    """Somebody was first: a usage is decided already, a charge was cut, a suspended usage was resolved. Nothing was stored."""


@contextmanager
def collisions() -> Iterator[None]:
    """Raise Collision for a duplicate key within; anything else goes on as it is."""
    try:
        yield
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        if details.get("writeConcernErrors") or any(fault["code"] != DUPLICATE_KEY for fault in details["writeErrors"]):
            raise
        raise Collision from error
