"""`tarifa bench rating`: usages per second through Kafka, priced, into MongoDB, published and committed by one worker.

The same messages go through a floor worker, which does all of that but rate them. Each worker is a process of its own
that finds its messages waiting; its rate is taken between its first and its last commit. Every account has one product,
calls at one price and has called before in that month: charges are opened once a month, and then added to. Where there are many
accounts, each run is measured twice: with calls of a few accounts, and with calls of all.
"""

import asyncio
import itertools
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import median

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.bench.customers import customer
from libs.bench.namespace import drop_namespace
from libs.contracts import Fact, UsageReceived
from libs.devstack import Program, StackError, free_port, service_process
from libs.devstack.settings import PROJECT_ROOT
from libs.runtime import RuntimeSettings
from libs.runtime.lag import settled
from libs.runtime.mongo import connect
from libs.runtime.publisher import FactPublisher
from libs.runtime.topics import create_topics

# Asking costs the broker a millisecond; a run takes seconds.
POLL_S = 0.1
RUN_TIMEOUT_S = 600.0
PUBLISHED_AT_A_TIME = 20_000
SEED = 20260301
# Fewer than a worker keeps as objects, so that what many accounts cost shows beside.
FEW_ACCOUNTS = 20_000
MONTH = datetime(2026, 3, 2, tzinfo=UTC)
RATING_GROUP = "rating.rate_usages"
FLOOR_GROUP = "rating_floor.copy"
RATE_BOOK = """
id: bench
effective_from: 2020-01-01
currency: EUR
offerings:
  flat:
    usage_prices:
      - id: voice
        description: Calls
        match: {usage_type: voice}
        price: {amount: 0.10, per: 60 s}
        increments: 1/1
"""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """The measurement of one worker with one month of usage."""

    usages_per_s: float
    cpu_us_per_usage: float
    rss_mb_max: float

    def __str__(self) -> str:
        return f"{self.usages_per_s:,.0f}/s, {self.cpu_us_per_usage:.1f} us of the worker, {self.rss_mb_max:.0f} MB"


@dataclass(frozen=True)
class RatingBench:
    """The sizes of a measurement."""

    usages: int
    accounts: int
    runs: int
    batch_size: int

    async def measure(self, infrastructure: RuntimeSettings, directory: Path, say: Say) -> dict[str, object]:
        """Run it in a fresh namespace of these servers; logs and the rate book go to `directory`."""
        settings = infrastructure.model_copy(update={"namespace": f"bench{uuid.uuid4().hex[:8]}", "log_level": "WARNING"})
        books = directory / "rate-books"
        books.mkdir()
        (books / "bench.yaml").write_text(RATE_BOOK)
        await create_topics(settings)
        publisher = FactPublisher("bench", settings)
        await publisher.start()
        few: list[Run] = []
        rated: list[Run] = []
        floors: list[Run] = []
        try:
            say(f"loading {self.accounts} accounts and products")
            loader = _rating(settings, books, directory, self.batch_size)
            await loader.start()
            await _publish(publisher, self._customers())
            await settled(settings, RUN_TIMEOUT_S)
            await _publish(publisher, self._first_calls())
            await settled(settings, RUN_TIMEOUT_S)
            await loader.terminate()
            for number in range(self.runs):
                for callers, runs, floor_runs in self._halves(few, rated, floors):
                    say(f"run {number + 1} of {self.runs}: publishing {self.usages} usages of {callers} accounts")
                    await _publish(publisher, self._calls(number, callers))
                    worker = _rating(settings, books, directory, self.batch_size)
                    runs.append(await self._run(settings, worker, settings.topic(RATING_GROUP)))
                    say(f"  rating: {runs[-1]}")
                    floor = _floor(settings, directory, self.batch_size)
                    floor_runs.append(await self._run(settings, floor, settings.topic(FLOOR_GROUP)))
                    say(f"  floor: {floor_runs[-1]}")
        finally:
            await publisher.stop()
            await drop_namespace(settings, connect(settings), ("rating", "rating_floor"))
        return {"accounts": self.accounts, **_summary(few, rated, floors)}

    def _halves(self, few: list[Run], rated: list[Run], floors: list[Run]) -> Iterator[tuple[int, list[Run], list[Run]]]:
        """Yield how many accounts call, with the lists for what the worker and the floor do."""
        # The ids of a half have its number of callers: with the same number twice, the second half would be repeats of the first.
        if self.accounts > FEW_ACCOUNTS:
            yield FEW_ACCOUNTS, few, []
        yield self.accounts, rated, floors

    async def _run(self, settings: RuntimeSettings, worker: Program, group: str) -> Run:
        async with _offsets(settings, group) as offsets:
            total = await offsets.end()
            before = total - self.usages
            worker.launch()
            try:
                process = psutil.Process(worker.pid)
                rss_max, first, committed = 0, None, before
                deadline = time.monotonic() + RUN_TIMEOUT_S
                while committed < total:
                    if time.monotonic() > deadline or not worker.is_alive:
                        raise StackError(f"{worker.name} committed {committed - before} of {total - before} usages", f"see {worker.log}")
                    await asyncio.sleep(POLL_S)
                    committed = await offsets.committed()
                    now = time.perf_counter()
                    rss_max = max(rss_max, process.memory_info().rss)
                    if first is None and committed > before:
                        first = (now, committed, _cpu_s(process))
                cpu_s = _cpu_s(process)
            finally:
                await worker.terminate()
        assert first is not None
        usages = total - first[1]
        return Run(usages / (now - first[0]), (cpu_s - first[2]) / usages * 1e6, rss_max / 2**20)

    def _customers(self) -> Iterator[Fact]:
        for number in range(self.accounts):
            yield from customer(f"account-{number:08d}", number, _msisdn(number), cycle="monthly")

    def _first_calls(self) -> Iterator[Fact]:
        for number in range(self.accounts):
            yield _call(f"first-{number:09d}", number, random.Random(number))

    def _calls(self, run: int, callers: int) -> Iterator[Fact]:
        chance = random.Random(SEED + run)
        for number in range(self.usages):
            yield _call(f"call-{run}-{callers}-{number:09d}", chance.randrange(callers), chance)


def _call(id: str, caller: int, chance: random.Random) -> UsageReceived:
    return UsageReceived(
        id=id,
        identifier=_msisdn(caller),
        usage_type="voice",
        started_at=MONTH + timedelta(seconds=chance.randrange(26 * 86_400)),
        quantity=Decimal(chance.randrange(1, 600)),
        unit="s",
        called_number=_msisdn(chance.randrange(10**6)),
    )


def _summary(few: list[Run], rated: list[Run], floors: list[Run]) -> dict[str, object]:
    runs: dict[str, list[float]] = {
        "usages_per_s": [round(run.usages_per_s) for run in rated],
        "floor_usages_per_s": [round(run.usages_per_s) for run in floors],
        "ratio": [round(run.usages_per_s / floor.usages_per_s, 3) for run, floor in zip(rated, floors, strict=True)],
        # Of the worker alone: on a busy machine the one figure that others do not disturb much.
        "cpu_us_per_usage": [round(run.cpu_us_per_usage, 1) for run in rated],
        "floor_cpu_us_per_usage": [round(run.cpu_us_per_usage, 1) for run in floors],
        "worker_rss_mb_max": [round(run.rss_mb_max) for run in rated],
    }
    if few:
        runs["few_usages_per_s"] = [round(run.usages_per_s) for run in few]
        runs["accounts_ratio"] = [round(many.usages_per_s / run.usages_per_s, 3) for many, run in zip(rated, few, strict=True)]
        runs["few_cpu_us_per_usage"] = [round(run.cpu_us_per_usage, 1) for run in few]
    return {**{name: median(each) for name, each in runs.items()}, "worker_rss_mb_max": max(runs["worker_rss_mb_max"]), "runs": runs}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _msisdn(number: int) -> str:
    return f"+346{number:08d}"


class _Offsets:
    """The offsets of a consumer group on the topic of usages."""

    def __init__(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str, topic: str) -> None:
        self._admin = admin
        self._consumer = consumer
        self._group = group
        self._partitions = [TopicPartition(topic, number) for number in range(UsageReceived.partitions)]

    async def end(self) -> int:
        """Return the count of messages."""
        return sum((await self._consumer.end_offsets(self._partitions)).values())

    async def committed(self) -> int:
        """Return the count of committed messages."""
        offsets = await self._admin.list_consumer_group_offsets(self._group, partitions=self._partitions)
        return sum(max(committed.offset, 0) for committed in offsets.values())


@asynccontextmanager
async def _offsets(settings: RuntimeSettings, group: str) -> AsyncIterator[_Offsets]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    try:
        await admin.start()
        await consumer.start()
        yield _Offsets(admin, consumer, group, settings.topic(UsageReceived.topic))
    finally:
        await consumer.stop()
        await admin.close()


def _rating(settings: RuntimeSettings, books: Path, directory: Path, batch_size: int) -> Program:
    environment = {"RATE_BOOKS_DIR": str(books), "RATING_BATCH_SIZE": str(batch_size)}
    return service_process("rating", settings, port=free_port(), log=directory / "rating.log", environment=environment)


def _floor(settings: RuntimeSettings, directory: Path, batch_size: int) -> Program:
    async def ready() -> None:
        return None

    return Program(
        "floor",
        [sys.executable, "-m", "libs.bench.rating_floor"],
        address="",
        origin="python -m libs.bench.rating_floor",
        log=directory / "floor.log",
        ready=ready,
        environment={
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "MONGODB_URL": settings.mongodb_url,
            "TARIFA_NAMESPACE": settings.namespace,
            "RATING_BATCH_SIZE": str(batch_size),
        },
        directory=PROJECT_ROOT,
    )


async def _publish(publisher: FactPublisher, facts: Iterator[Fact]) -> None:
    while chunk := list(itertools.islice(facts, PUBLISHED_AT_A_TIME)):
        await publisher.publish(chunk)
