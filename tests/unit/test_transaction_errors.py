"""What a transaction fails by holds nothing once that has been dealt with, though the driver keeps errors in circles."""

import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Any, Self

import pytest
from pymongo.asynchronous import client_session
from pymongo.errors import OperationFailure

from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S
from libs.runtime.mongo import TRANSACTION_TIME_MAX_S, TRANSACTION_TRIES_MAX, in_transaction
from libs.runtime.mongo_errors import DUPLICATE_KEY
from services.rating.collisions import Collision, collisions


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
