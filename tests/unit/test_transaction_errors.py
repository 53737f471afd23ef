"""What a transaction fails by holds nothing once that has been dealt with, though the driver keeps errors in circles."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest
from pymongo.asynchronous import client_session
from pymongo.errors import OperationFailure

from libs.runtime import mongo
from libs.runtime.failures import is_infrastructure
from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S
from libs.runtime.mongo import TRANSACTION_TIME_MAX_S, TRANSACTION_TRIES_MAX, TransactionGivenUp, in_transaction
from libs.runtime.mongo_errors import DUPLICATE_KEY
from services.rating.collisions import Collision, collisions

NO_SUCH_TRANSACTION = 251


class Held:
    """Something large that the work of a transaction holds."""


class CircularSession:
    """A session that keeps the last error in a frame of its traceback, as the driver's does; it tries anew `tries` times."""

    def __init__(self, tries: int) -> None:
        self._tries = tries

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        return None

    async def with_transaction(self, callback: Callable[[Any], Awaitable[Any]]) -> Any:
        last_error: BaseException | None = None
        for tried in range(1, self._tries + 1):
            try:
                return await callback(self)
            except OperationFailure as error:
                last_error = error
                if tried == self._tries:
                    raise
        raise AssertionError(last_error)


class Client:
    """A client with such sessions."""

    def __init__(self, tries: int) -> None:
        self._tries = tries

    def start_session(self) -> CircularSession:
        return CircularSession(self._tries)


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Only what nothing refers to is freed."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize(("tries", "failures", "is_stored"), [(1, 1, False), (3, 3, False), (3, 2, True)])
async def test_a_failed_transaction_frees_what_its_work_held(tries: int, failures: int, is_stored: bool) -> None:
    held: list[weakref.ref[Held]] = []
    failed = 0

    async def store() -> str:
        batch = Held()
        held.append(weakref.ref(batch))

        async def write(session: Any) -> str:
            nonlocal failed
            documents = [batch]
            if failed < failures:
                failed += 1
                raise OperationFailure("taken", DUPLICATE_KEY, {"code": DUPLICATE_KEY})
            return f"{len(documents)} stored"

        with collisions():
            client: Any = Client(tries)
            return await in_transaction(client, write)

    if is_stored:
        assert await store() == "1 stored"
    else:
        with pytest.raises(Collision):
            await store()
    assert [reference() for reference in held] == [None]


def test_a_transaction_outlasts_the_lock_of_a_process_that_hangs() -> None:
    """Else a cut that meets such a lock would be refused, as if the account's own charges conflicted."""
    kept_s = LIFETIME_LIMIT_S * 1.5
    pauses_s = [
        min(client_session._BACKOFF_INITIAL * 1.5**tried, client_session._BACKOFF_MAX) / 2 for tried in range(1, TRANSACTION_TRIES_MAX)
    ]
    assert kept_s < TRANSACTION_TIME_MAX_S < sum(pauses_s)


async def test_a_transaction_that_mongodb_ended_by_its_time_is_not_tried_again_at_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo, "LIFETIME_LIMIT_S", 0.01)
    tries = 0

    async def write(session: Any) -> None:
        nonlocal tries
        tries += 1
        await asyncio.sleep(0.02)
        raise OperationFailure("Transaction 5 has been aborted", NO_SUCH_TRANSACTION)

    client: Any = Client(5)
    with pytest.raises(TransactionGivenUp, match="longer than MongoDB lets it live") as given_up:
        await in_transaction(client, write)
    assert (tries, given_up.value.code, is_infrastructure(given_up.value)) == (1, NO_SUCH_TRANSACTION, True)
