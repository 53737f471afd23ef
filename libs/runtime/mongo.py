"""MongoDB as the services use it: decimals stay exact, instants stay in UTC, `id` is `_id`."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from traceback import clear_frames
from typing import Any, Generic, TypeVar

from bson.codec_options import CodecOptions, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from pydantic import BaseModel
from pymongo import AsyncMongoClient, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure, PyMongoError

from libs.runtime.exact_numbers import decimal128
from libs.runtime.lifetime.driver_wait import mend_driver_wait
from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S
from libs.runtime.mongo_errors import DUPLICATE_KEY, error_codes
from libs.runtime.settings import RuntimeSettings

SERVER_SELECTION_TIMEOUT_MS = 5_000
# Of a connection and of each look at a server: one that hangs is noticed within 15 s, and its connections are closed.
CONNECT_TIMEOUT_MS = 5_000
# A conflict with another worker passes within milliseconds. One that lasts is a lock of a process that died or hangs, and MongoDB
# ends that within 18 s (`lifetime.transaction_limit`): only what conflicts for longer is the transaction's own fault.
TRANSACTION_TIME_MAX_S = 20.0
# With the driver's pauses, 0.25 s on average in the end, so many tries take longer than that time.
TRANSACTION_TRIES_MAX = 120
# The same keys with other options, the same name with other keys.
_INDEX_CONFLICTS = (85, 86)

T = TypeVar("T")
R = TypeVar("R", bound=BaseModel)


class _DecimalCodec(TypeCodec):
    """Decimal in Python, Decimal128 in MongoDB. Raises for more than 34 digits: nothing is rounded silently."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        return decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        return value.to_decimal()


CODEC_OPTIONS: CodecOptions = CodecOptions(type_registry=TypeRegistry([_DecimalCodec()]), tz_aware=True)


class TransactionGivenUp(OperationFailure):
    """A transaction met conflicts until its tries or its time were over, or one try took longer than MongoDB lets a transaction live.

    Its cause is the last error, whose code it has.
    """


class IndexImpossible(Exception):
    """An index that cannot be had, however often it is tried; the message says why and what to do."""


@dataclass(frozen=True)
class Index:
    """An index and the query it serves; `collection`, `keys` as (field, 1 or -1) pairs.

    `expire_after_s`: documents are deleted that long after the time in the one field.
    """

    collection: str
    keys: tuple[tuple[str, int], ...]
    serves: str
    unique: bool = False
    expire_after_s: int | None = None


def connect(settings: RuntimeSettings) -> AsyncMongoClient:
    """A client that writes with majority acknowledgement, so that what was acknowledged survives a crash."""
    mend_driver_wait()
    return AsyncMongoClient(
        settings.mongodb_url,
        serverSelectionTimeoutMS=SERVER_SELECTION_TIMEOUT_MS,
        connectTimeoutMS=CONNECT_TIMEOUT_MS,
        w="majority",
        journal=True,
        appname="tarifa",
    )


def database(client: AsyncMongoClient, settings: RuntimeSettings, service: str) -> AsyncDatabase:
    """A service's database with Tarifa's codecs. Only its service writes to it."""
    return client.get_database(settings.database(service), codec_options=CODEC_OPTIONS)


async def ensure_indexes(store: AsyncDatabase, indexes: Sequence[Index]) -> None:
    """Create what is missing. A transaction cannot create a collection on MongoDB < 4.4; indexes create them here.
    Raises IndexImpossible."""
    for index in indexes:
        options = {"expireAfterSeconds": index.expire_after_s} if index.expire_after_s is not None else {}
        try:
            await store[index.collection].create_indexes([IndexModel(list(index.keys), unique=index.unique, **options)])
        except OperationFailure as error:
            remedy = await _remedy(store, index, error)
            if remedy is None:
                raise
            told = (error.details or {}).get("errmsg", error)
            raise IndexImpossible(f"{store.name}.{index.collection} cannot get its index: {told}. {remedy}") from None


async def _remedy(store: AsyncDatabase, index: Index, error: OperationFailure) -> str | None:
    """Return the remedy for an index that cannot be created, or None when it may be created later."""
    if error_codes(error) == {DUPLICATE_KEY}:
        return "Something else than this service wrote these documents: mend them and start again"
    if error.code not in _INDEX_CONFLICTS:
        return None
    keys, name = list(index.keys), "_".join(f"{field}_{direction}" for field, direction in index.keys)
    there = await store[index.collection].index_information()
    in_the_way = [other for other, known in there.items() if other == name or known["key"] == keys]
    drops = "; ".join(f"db.getSiblingDB('{store.name}').{index.collection}.dropIndex('{other}')" for other in in_the_way)
    return f"Drop what is in its way and start again: {drops}"


async def in_transaction(client: AsyncMongoClient, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
    """Run `work(session)` in one transaction, again as a whole after a write conflict (the driver backs off).

    Raises: TransactionGivenUp, after TRANSACTION_TRIES_MAX tries or TRANSACTION_TIME_MAX_S, or after one try of LIFETIME_LIMIT_S: MongoDB
    ends such a transaction, and the same work would take as long again. Whoever can should do less of it at a time.
    """
    bounded = _Bounded(work)
    try:
        async with client.start_session() as session:
            return await session.with_transaction(bounded.work)
    except BaseException as error:
        clear_frames(error.__traceback__)
        raise
    finally:
        bounded.forget()


class _Bounded(Generic[T]):
    """Work that is not begun once more when it was tried too often or for too long, and the errors that it raised.

    The driver keeps an error in a local variable of a frame that the error's traceback names. Such a circle keeps all that the frames of
    the work hold, a whole batch, until the garbage collector looks that far: a rating worker grew by 800 MB in a storm of conflicts.
    """

    def __init__(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> None:
        self._work: Callable[[AsyncClientSession], Awaitable[T]] | None = work
        self._tries = 0
        self._began_at = time.monotonic()
        self._ends_at = self._began_at + TRANSACTION_TIME_MAX_S
        self._last: PyMongoError | None = None
        self._errors: list[BaseException] = []

    async def work(self, session: AsyncClientSession) -> T:
        assert self._work is not None, "the transaction is over"
        now = time.monotonic()
        if self._tries:
            self._end_in_vain(now)
        self._tries += 1
        self._began_at = now
        try:
            return await self._work(session)
        except BaseException as error:
            if isinstance(error, PyMongoError):
                self._last = error
            self._errors.append(error)
            raise

    def _end_in_vain(self, now: float) -> None:
        """Raise TransactionGivenUp, without the label of a transient error so that the driver ends, where another try is in vain."""
        tried_s = now - self._began_at
        if tried_s >= LIFETIME_LIMIT_S:
            why = f"took {tried_s:.0f} s, longer than MongoDB lets it live"
        elif self._tries >= TRANSACTION_TRIES_MAX or now > self._ends_at:
            why = f"conflicted {self._tries} times"
        else:
            return
        code = self._last.code if isinstance(self._last, OperationFailure) else None
        raise TransactionGivenUp(f"a transaction {why}: {self._last}", code) from self._last

    def forget(self) -> None:
        """Let go of the work and of what the frames of its errors hold. Their tracebacks still tell where they were raised."""
        self._work = self._last = None
        while self._errors:
            clear_frames(self._errors.pop().__traceback__)


def to_document(record: BaseModel) -> dict[str, Any]:
    """The document of a record that has an `id`."""
    document = record.model_dump()
    document["_id"] = document.pop("id")
    return document


def from_document(record: type[R], document: dict[str, Any]) -> R:
    """The record of a document; fields that the class does not know are ignored."""
    return record.model_validate({**document, "id": document["_id"]})
