"""A rating worker stays small while another one joins and leaves its groups under load."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from libs.contracts import Fact, UsageReceived
from libs.devstack import free_port, service_process
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from libs.runtime.mongo import connect, database
from libs.runtime.publisher import FactPublisher
from tests.rating_world import account, number, product
from tests.usages import usage_of
from tests.world import build_service

BOOKS = Path("deploy/rate-books")
CUSTOMERS = 2_000
ROUNDS = 10
STAYS_S = 1.0
PUBLISHED_AT_A_TIME = 2_000
PUBLISHED_EVERY_S = 0.2
# A slow machine takes longer for its rounds, and gets no more load for that.
PUBLISHED_MAX = 80_000
RSS_MB_MAX = 300
SETTLE_TIMEOUT_S = 120.0


def caller(line: int) -> str:
    return f"+1212{line:07}"


def customers() -> list[Fact]:
    opened: list[Fact] = []
    for line in range(CUSTOMERS):
        opened += [account(f"a{line}"), product(f"p{line}", f"a{line}", number(caller(line)))]
    return opened


def calls(first: int, chance: random.Random) -> list[UsageReceived]:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    return [
        usage_of(
            id=f"u-{first + offset}",
            identifier=caller(chance.randrange(CUSTOMERS)),
            usage_type="voice",
            started_at=start + timedelta(seconds=chance.randrange(20 * 86_400)),
            quantity=chance.randrange(1, 600),
            unit="s",
            called_number="+12125559999",
        )
        for offset in range(PUBLISHED_AT_A_TIME)
    ]


class Load:
    """Calls published without pause, and how large a process became meanwhile."""

    def __init__(self, publisher: FactPublisher, process: psutil.Process) -> None:
        self._publisher = publisher
        self._process = process
        self.count = 0
        self.rss_mb_max = 0.0
        self.is_over = False

    async def run(self) -> None:
        chance = random.Random(31)
        while not self.is_over:
            if self.count < PUBLISHED_MAX:
                await self._publisher.publish(calls(self.count, chance))
                self.count += PUBLISHED_AT_A_TIME
            self.rss_mb_max = max(self.rss_mb_max, self._process.memory_info().rss / 2**20)
            await asyncio.sleep(PUBLISHED_EVERY_S)


async def usage_count(settings: RuntimeSettings) -> int:
    client = connect(settings)
    try:
        return await database(client, settings, "rating")["usage"].count_documents({"charge_id": {"$exists": True}})
    finally:
        await client.close()


@asynccontextmanager
async def published(load: Load) -> AsyncIterator[Load]:
    running = asyncio.create_task(load.run())
    try:
        yield load
    finally:
        load.is_over = True
        await running


@pytest.mark.alone
async def test_a_worker_stays_small_while_another_joins_and_leaves_under_load(settings: RuntimeSettings, tmp_path: Path) -> None:
    worker = service_process(
        "rating", settings, port=free_port(), log=tmp_path / "rating.log", environment={"RATE_BOOKS_DIR": str(BOOKS.resolve())}
    )
    publisher = FactPublisher("test", settings)
    async with lag_reader(settings) as lag:
        await worker.start()
        try:
            await publisher.start()
            await publisher.publish(customers())
            await lag.settled(SETTLE_TIMEOUT_S)
            assert worker.pid is not None
            async with published(Load(publisher, psutil.Process(worker.pid))) as load:
                for _ in range(ROUNDS):
                    async with build_service("rating", settings, rate_books_dir=BOOKS).running():
                        await asyncio.sleep(STAYS_S)
            await lag.settled(SETTLE_TIMEOUT_S)
            stored_count = await usage_count(settings)
        finally:
            await publisher.stop()
            await worker.terminate()
    assert stored_count == load.count
    assert load.rss_mb_max < RSS_MB_MAX
