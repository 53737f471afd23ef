"""How processes and connections live and end: nothing cancels the driver, and whoever hangs ends all the same."""

import asyncio
import resource
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.lock import _async_create_condition, _async_create_lock

from libs.runtime.lifetime import mongo_watch
from libs.runtime.lifetime.descriptors import needed_descriptors
from libs.runtime.lifetime.driver_wait import wait_in_this_task
from libs.runtime.lifetime.ending import EXIT_STUCK, end_within
from libs.runtime.lifetime.fault_times import FaultTimes
from libs.runtime.lifetime.mongo_watch import MongoWatch
from libs.runtime.lifetime.shared_question import Shared
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.mongo import connect
from libs.runtime.settings import RuntimeSettings, without_password

LIMIT_S = 10.0


@pytest.mark.parametrize("cancellations", [1, 2, 3])
async def test_a_cancelled_caller_lets_its_call_end_first(cancellations: int) -> None:
    may_end, ended = asyncio.Event(), []

    async def call() -> None:
        await may_end.wait()
        ended.append("call")

    async def caller() -> None:
        try:
            await uninterrupted(call())
        finally:
            ended.append("caller")

    calling = asyncio.create_task(caller())
    for _ in range(cancellations):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        calling.cancel()
    await asyncio.sleep(0)
    assert ended == []
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert ended == ["call", "caller"]


async def test_an_uninterrupted_call_tells_its_result_and_its_error() -> None:
    async def answer(value: int) -> int:
        return 10 // value

    assert await uninterrupted(answer(5)) == 2
    with pytest.raises(ZeroDivisionError):
        await uninterrupted(answer(0))


async def test_all_who_ask_share_one_question_and_none_of_them_ends_it() -> None:
    asked, answered = [], asyncio.Event()

    async def ask() -> str:
        asked.append("once")
        await answered.wait()
        return "pong"

    shared = Shared(ask)
    impatient = await asyncio.gather(*(shared.answer(0.001) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in impatient} == {TimeoutError}
    cancelled = asyncio.create_task(shared.answer(LIMIT_S))
    await asyncio.sleep(0)
    cancelled.cancel()
    patient = asyncio.create_task(shared.answer(LIMIT_S))
    await asyncio.sleep(0)
    answered.set()
    assert await patient == "pong"
    assert asked == ["once"]
    assert await shared.answer(LIMIT_S) == "pong"
    assert asked == ["once", "once"]


async def cancelled_at(step: int, wait: object) -> bool:
    """Cancel a wait that has the lock `step` turns of the loop after its time is over. Returns whether the lock is free afterwards."""
    lock = _async_create_lock()
    condition = _async_create_condition(lock)

    async def select() -> None:
        async with lock:
            await wait(condition, 0.001)  # type: ignore[operator]

    selecting = asyncio.create_task(select())
    await asyncio.sleep(0)
    async with lock:
        await asyncio.sleep(0.005)
        for _ in range(step):
            await asyncio.sleep(0)
        selecting.cancel()
    await asyncio.gather(selecting, return_exceptions=True)
    for _ in range(20):
        await asyncio.sleep(0)
    return not lock.locked()


@pytest.mark.parametrize("step", [0, 1, 2, 3, 4, 5, 10])
async def test_a_wait_of_the_driver_that_is_cancelled_leaves_its_lock_free(step: int) -> None:
    assert await cancelled_at(step, wait_in_this_task)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="asyncio.wait_for waits in the caller's task from Python 3.12 on")
def test_the_drivers_own_wait_loses_its_lock() -> None:
    """While this holds, the mend is needed; in a process of its own, where nothing was mended."""
    program = (
        "import asyncio\n"
        "from pymongo.asynchronous.topology import _async_cond_wait\n"
        "from tests.unit.test_lifetime import cancelled_at\n"
        "print(asyncio.run(cancelled_at(10, _async_cond_wait)))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "False"


async def test_a_client_of_ours_waits_by_the_mended_wait() -> None:
    from pymongo.asynchronous import pool, topology

    client = connect(RuntimeSettings())
    await client.close()
    if sys.version_info < (3, 12):
        assert topology._async_cond_wait is pool._async_cond_wait is wait_in_this_task  # type: ignore[attr-defined]


class SilentClient:
    """A client whose lock is lost: nothing is answered before the test is over."""

    def __init__(self) -> None:
        self.over = asyncio.Event()

    @property
    def admin(self) -> "SilentClient":
        return self

    async def command(self, _: str) -> None:
        await self.over.wait()


async def test_a_client_that_is_silent_while_a_fresh_one_is_answered_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_watch, "ANSWER_S", 0.01)
    monkeypatch.setattr(mongo_watch, "WATCH_EVERY_S", 0.01)
    fresh_answers = [False, False, True]
    asked = []

    async def fresh(url: str) -> bool:
        asked.append(url)
        return fresh_answers[len(asked) - 1]

    monkeypatch.setattr(mongo_watch, "fresh_connection_answers", fresh)
    lost: list[str] = []
    client = SilentClient()
    watch = MongoWatch(client, "mongodb://me:secret@127.0.0.1/", lost_after_s=0.05)  # type: ignore[arg-type]
    assert "TimeoutError" in (fault := await watch.fault() or "")
    assert "secret" not in fault
    await asyncio.wait_for(watch.watch(lost.append), LIMIT_S)
    assert len(asked) == len(fresh_answers)
    assert "a fresh connection" in lost[0]
    client.over.set()
    assert await watch.fault() is None


def test_a_process_that_does_not_stop_in_time_is_ended() -> None:
    ended, codes = threading.Event(), []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    end_within(0.01, end)
    assert ended.wait(LIMIT_S)
    assert codes == [EXIT_STUCK]


def test_a_fault_is_told_with_the_time_since_when_it_lasts() -> None:
    now = [datetime(2026, 3, 1, 10, 0, tzinfo=UTC)]
    times = FaultTimes(lambda: now[0])
    assert times.told({"mongodb": "away"}) == {"mongodb": "away (since 10:00:00 UTC, 0 s)"}
    now[0] += timedelta(seconds=90)
    assert times.told({"mongodb": "away", "kafka": "away"}) == {
        "mongodb": "away (since 10:00:00 UTC, 90 s)",
        "kafka": "away (since 10:01:30 UTC, 0 s)",
    }
    assert times.told({}) == {}
    assert times.told({"mongodb": "away"}) == {"mongodb": "away (since 10:01:30 UTC, 0 s)"}


@pytest.mark.parametrize(
    ("soft", "hard", "outcome"),
    [(64, 64, "needs {needed} file descriptors and may have 64"), (64, 4096, "4096"), (2048, 2048, "2048")],
)
def test_a_service_raises_its_descriptors_or_says_how_many_it_needs(soft: int, hard: int, outcome: str) -> None:
    needed = needed_descriptors(10)
    program = (
        "import resource\n"
        "from libs.runtime.lifetime.descriptors import TooFewDescriptors, require_descriptors\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "try:\n"
        f"    require_descriptors('rating', {needed})\n"
        "except TooFewDescriptors as few:\n"
        "    print(few)\n"
        "else:\n"
        "    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert outcome.format(needed=needed) in told.stdout
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mongodb://a:b@h1,h2/?x=1", "mongodb://***@h1,h2/?x=1"),
        ("mongodb://h1/?x=1", "mongodb://h1/?x=1"),
        ("127.0.0.1:9092", "127.0.0.1:9092"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown
