"""Errors of MongoDB that code decides by, and the only reader of them.

An insert under a derived id may find the id there already: another instance or an earlier try was first. The driver tells it
in three ways (DuplicateKeyError, BulkWriteError with the code inside, OperationFailure with the code), this module in one:

    try:
        with ids_may_be_there():
            await collection.insert_many(documents)
    except AlreadyThere as there: ...
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

# Old servers had two more codes for the same.
_DUPLICATE_KEYS = frozenset({11000, 11001, 12582})
DUPLICATE_KEY = 11000
# An update met a field of another type.
TYPE_MISMATCH = 14


class AlreadyThere(Exception):
    """A unique index refused documents, and nothing else went wrong. `violations` are the server's write errors, in order:
    `index` is the document's place in its write, `keyValue` the value that is there already."""

    def __init__(self, violations: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(f"{len(violations)} of the documents were there already")
        self.violations = violations


@contextmanager
def ids_may_be_there() -> Iterator[None]:
    """Raise AlreadyThere where a write within only met what was there already. Any other error goes on as it is."""
    try:
        yield
    except OperationFailure as error:
        if error_codes(error) != {DUPLICATE_KEY}:
            raise
        raise AlreadyThere(_violations(error)) from error


def error_codes(error: PyMongoError) -> set[int | None]:
    """Return the codes of all that went wrong: None is among them where something has no code, such as a lost connection."""
    if isinstance(error, BulkWriteError):
        details: Mapping[str, Any] = error.details or {}
        unacknowledged = {None} if details.get("writeConcernErrors") or not details.get("writeErrors") else set()
        return {_one_code(fault["code"]) for fault in details.get("writeErrors") or ()} | unacknowledged
    if isinstance(error, DuplicateKeyError):
        return {DUPLICATE_KEY}
    return {_one_code(error.code) if isinstance(error, OperationFailure) else None}


def _one_code(code: int | None) -> int | None:
    return DUPLICATE_KEY if code in _DUPLICATE_KEYS else code


def _violations(error: OperationFailure) -> Sequence[Mapping[str, Any]]:
    details: Mapping[str, Any] = error.details or {}
    return details.get("writeErrors") or [{"index": 0, **details}]
