"""Whose fault an error is: the infrastructure's, which passes with time, or that of the message that is handled.

A handler waits for the infrastructure and tries again. A message that fails by itself is parked, and the rest goes on.
Every error that is not listed here is the message's own, so that no kind of bad input can stop a handler.
"""

from collections.abc import Iterator

from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from pymongo.errors import BulkWriteError, ConfigurationError, ConnectionFailure, OperationFailure, ProtocolError, PyMongoError

from libs.contracts.fact import REASON_LENGTH_MAX
from libs.runtime.mongo_errors import error_codes

# What the message asked to publish can never be published, however well Kafka is.
_MESSAGE_REFUSED_BY_KAFKA = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)
_TRANSIENT_LABELS = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError", "SystemOverloadedError")
# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_INFRASTRUCTURE_CODES = frozenset(
    {
        6,  # HostUnreachable
        7,  # HostNotFound
        13,  # Unauthorized
        18,  # AuthenticationFailed
        20,  # IllegalOperation: transactions on a server that is no replica set
        24,  # LockTimeout
        43,  # CursorNotFound
        46,  # LockBusy
        50,  # MaxTimeMSExpired
        64,  # WriteConcernTimeout
        79,  # UnknownReplWriteConcern
        89,  # NetworkTimeout
        91,  # ShutdownInProgress
        100,  # UnsatisfiableWriteConcern
        112,  # WriteConflict
        117,  # ConflictingOperationInProgress
        125,  # CommandFailed, as of a failed write to disk
        133,  # FailedToSatisfyReadPreference
        134,  # ReadConcernMajorityNotAvailableYet
        136,  # CappedPositionLost
        175,  # QueryPlanKilled
        189,  # PrimarySteppedDown
        202,  # NetworkInterfaceExceededTimeLimit
        225,  # TransactionTooOld
        237,  # CursorKilled
        239,  # SnapshotTooOld
        246,  # SnapshotUnavailable
        251,  # NoSuchTransaction
        262,  # ExceededTimeLimit
        267,  # PreparedTransactionInProgress
        290,  # TransactionExceededLifetimeLimitSeconds
        317,  # ConnectionPoolExpired
        365,  # TemporarilyUnavailable
        384,  # ConnectionError
        391,  # ReauthenticationRequired
        402,  # ResourceExhausted
        462,  # IngressRequestRateLimitExceeded
        9001,  # SocketException
        10107,  # NotWritablePrimary
        11600,  # InterruptedAtShutdown
        11601,  # Interrupted
        11602,  # InterruptedDueToReplStateChange
        13388,  # StaleConfig
        13435,  # NotPrimaryNoSecondaryOk
        13436,  # NotPrimaryOrSecondary
        14031,  # OutOfDiskSpace
    }
)


def is_infrastructure(error: BaseException) -> bool:
    """Return whether an error is the infrastructure's. The error that caused it counts, and so does each of a group."""
    return any(_is_infrastructure(part) for part in _parts(error))


def reason_of(error: BaseException) -> str:
    """Return the type and the words of an error, as text that every store takes."""
    words = str(error).strip()
    told = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return storable(told)


def storable(text: str) -> str:
    """Return a text without NUL and lone surrogates, cut to the length of a reason."""
    return text.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()[:REASON_LENGTH_MAX]


def _parts(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        if isinstance(part, BaseExceptionGroup):
            waiting.extend(part.exceptions)
        if part.__cause__ is not None:
            waiting.append(part.__cause__)


def _is_infrastructure(error: BaseException) -> bool:
    if isinstance(error, OSError | ConnectionFailure | ConfigurationError | ProtocolError):
        return True
    if isinstance(error, KafkaError):
        return not isinstance(error, _MESSAGE_REFUSED_BY_KAFKA)
    if isinstance(error, PyMongoError) and any(error.has_error_label(label) for label in _TRANSIENT_LABELS):
        return True
    if isinstance(error, OperationFailure):
        # What was written and not replicated in time says nothing about the message.
        if isinstance(error, BulkWriteError) and (error.details or {}).get("writeConcernErrors"):
            return True
        return not error_codes(error).isdisjoint(_INFRASTRUCTURE_CODES)
    return False
