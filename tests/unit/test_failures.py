"""Whose fault an error is, as a table: only the infrastructure's may stop a handler."""

import errno
from decimal import Inexact, InvalidOperation

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError, NotLeaderForPartitionError
from bson.errors import InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WriteConcernError,
    WriteError,
    WTimeoutError,
)

from libs.contracts import MalformedFact
from libs.runtime.failures import is_infrastructure, reason_of


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


INFRASTRUCTURE = [
    ConnectionError("reset"),
    TimeoutError(),
    OSError(errno.ENOSPC, "no space left on device"),
    OSError(errno.EMFILE, "too many open files"),
    KafkaConnectionError("away"),
    KafkaTimeoutError(),
    NotLeaderForPartitionError(),
    AutoReconnect("connection closed"),
    ServerSelectionTimeoutError("no primary"),
    NetworkTimeout("slow"),
    NotPrimaryError("stepped down"),
    WaitQueueTimeoutError("pool"),
    ExecutionTimeout("operation exceeded time limit", 50),
    WTimeoutError("waiting for replication", 64),
    WriteConcernError("shutting down", 91),
    OperationFailure("out of disk space", 14031),
    OperationFailure("not authorized", 13),
    OperationFailure("conflict", 112, {"errorLabels": ["TransientTransactionError"]}),
    OperationFailure("whatever", 1, {"errorLabels": ["UnknownTransactionCommitResult"]}),
    BulkWriteError({"writeErrors": [{"code": 14031, "errmsg": "disk"}], "writeConcernErrors": []}),
    BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91, "errmsg": "shutdown"}]}),
    caused(RuntimeError("wrapped"), by=AutoReconnect("closed")),
    ExceptionGroup("both", [ValueError("a"), ConnectionError("b")]),
]
OWN = [
    OverflowError("MongoDB can only handle up to 8-byte ints"),
    InvalidDocument("cannot encode object"),
    DocumentTooLarge("BSON document too large"),
    Inexact(),
    InvalidOperation(),
    KeyError("bill-2"),
    ValueError("no"),
    TypeError("NoneType"),
    AttributeError("x"),
    IndexError(),
    AssertionError(),
    ZeroDivisionError(),
    RecursionError(),
    UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
    RuntimeError("collided 20 times in a row"),
    MalformedFact("no fact"),
    WriteError("Cannot apply $inc to a value of non-numeric type", 14),
    DuplicateKeyError("E11000 duplicate key", 11000),
    OperationFailure("BSONObj size is invalid", 10334),
    OperationFailure("unknown code", 987654),
    OperationFailure("no code"),
    BulkWriteError({"writeErrors": [{"code": 11000, "errmsg": "dup"}], "writeConcernErrors": []}),
    MessageSizeTooLargeError("the outcome has 9 MB"),
    caused(RuntimeError("wrapped"), by=KeyError("x")),
    ExceptionGroup("both", [ValueError("a"), KeyError("b")]),
]


@pytest.mark.parametrize("error", INFRASTRUCTURE, ids=repr)
def test_what_passes_with_time_is_the_infrastructures(error: Exception) -> None:
    assert is_infrastructure(error)


@pytest.mark.parametrize("error", OWN, ids=repr)
def test_everything_else_is_the_messages_own(error: Exception) -> None:
    assert not is_infrastructure(error)


def test_errors_that_cause_each_other_end() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert not is_infrastructure(first)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("bill-2"), "KeyError: 'bill-2'"),
        (Inexact(), "Inexact"),
        (ValueError("a\x00b \ud800"), "ValueError: a\\x00b \\ud800"),
    ],
)
def test_a_reason_names_the_type_and_can_be_stored(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason
    assert len(reason_of(ValueError("x" * 100_000))) == 2000
