"""Collisions: two workers, or two deliveries, were about to decide the same thing. The second looks again and goes on."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import OperationFailure

from libs.runtime.mongo_errors import DUPLICATE_KEY, TYPE_MISMATCH, error_codes

# Adding to a sealed charge is refused as a mismatch of types.
_COLLISIONS = {DUPLICATE_KEY, TYPE_MISMATCH}


class Collision(Exception):
    """Somebody was first: a usage is decided already, a charge was cut, a suspended usage was resolved. Nothing was stored."""


@contextmanager
def collisions() -> Iterator[None]:
    """Raise Collision for a duplicate key or a sealed charge within; anything else goes on as it is."""
    try:
        yield
    except OperationFailure as error:
        if not error_codes(error) <= _COLLISIONS:
            raise
        # The driver keeps the error in a circle, whose frames would hold the batch until the garbage collector looks.
        error.__traceback__ = None
        raise Collision from error
