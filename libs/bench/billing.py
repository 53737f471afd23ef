"""`tarifa bench billing`: bills per second of a cycle run, through period.cut, charges.closed and bill.issued to its end.

Rating, invoicing, operations and the ledger run as processes. Two cycles, a large and a small one, have accounts with four
charges in each of several months; a run bills one cycle for one month. Its time is taken from the request to the
moment operations has counted the last account; what rating and the ledger still do with the bills is told as the time to settle.
"""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from statistics import median

import psutil
from pymongo import AsyncMongoClient

from libs.bench.customers import customer
from libs.bench.namespace import drop_namespace
from libs.contracts import (
    BillDocumentRequested,
    BillRunRequested,
    Fact,
    UsageReceived,
)
from libs.devstack import Program, free_port, service_process
from libs.runtime import RuntimeSettings
from libs.runtime.lag import settled
from libs.runtime.mongo import connect, database
from libs.runtime.publisher import FactPublisher
from libs.runtime.topics import create_topics

SERVICES = ("rating", "invoicing", "operations", "ledger")
LINES_PER_BILL = 4
POLL_S = 0.02
TIMEOUT_S = 600.0
PUBLISHED_AT_A_TIME = 20_000
LARGE, SMALL = "large", "small"
# One price per usage type, so that four calls of four types are four charges.
RATE_BOOK = """
id: bench
effective_from: 2020-01-01
currency: EUR
offerings:
  flat:
    usage_prices:
      - {id: voice, description: Calls, match: {usage_type: voice}, price: {amount: 0.17, per: 60 s}, increments: 1/1}
      - {id: roaming, description: Calls abroad, match: {usage_type: roaming}, price: {amount: 0.29, per: 60 s}, increments: 1/1}
      - {id: video, description: Video calls, match: {usage_type: video}, price: {amount: 0.11, per: 60 s}, increments: 1/1}
      - {id: fax, description: Fax, match: {usage_type: fax}, price: {amount: 0.05, per: 60 s}, increments: 1/1}
"""
USAGE_TYPES = ("voice", "roaming", "video", "fax")
Say = Callable[[str], None]


@dataclass(frozen=True)
class CycleRun:
    """What one run of a cycle took, in seconds; `settled_s` until the last charge was marked billed and the last entry posted.

    `cpu_ms_per_bill` is by service and does not depend on what else the machine does.
    """

    bills: int
    seconds: float
    settled_s: float
    cpu_ms_per_bill: dict[str, float]

    @property
    def bills_per_s(self) -> float:
        return self.bills / self.seconds


@dataclass(frozen=True)
class BillingBench:
    """The sizes of a measurement: accounts of the large and of the small cycle, runs of each, documents to render."""

    accounts: int
    small_accounts: int
    runs: int
    documents: int

    async def measure(self, infrastructure: RuntimeSettings, directory: Path, say: Say) -> dict[str, object]:
        """Measure in a fresh namespace of these servers, gone afterwards; logs and the rate book go to `directory`."""
        settings = infrastructure.model_copy(update={"namespace": f"bench{uuid.uuid4().hex[:8]}", "log_level": "WARNING"})
        large: list[CycleRun] = []
        small: list[CycleRun] = []
        async with _stack(settings, directory) as stack:
            say(f"loading {self.accounts + self.small_accounts:,} accounts with {LINES_PER_BILL} charges in each of {self.runs} months")
            await stack.publish(self._customers())
            await settled(settings, TIMEOUT_S)
            await stack.publish(self._usages())
            await settled(settings, TIMEOUT_S)
            for number in range(self.runs):
                for cycle, count, runs in ((SMALL, self.small_accounts, small), (LARGE, self.accounts, large)):
                    runs.append(await stack.run_cycle(cycle, _month(number), count))
                    run = runs[-1]
                    say(f"run {number + 1} of {self.runs}: {count:,} bills, {run.bills_per_s:,.0f}/s, settled in {run.settled_s:.1f} s")
            say(f"rendering {self.documents} documents")
            return _summary(large, small, await stack.render(self.documents))

    def _names(self) -> Iterator[tuple[str, int]]:
        yield from ((LARGE, number) for number in range(self.accounts))
        yield from ((SMALL, number) for number in range(self.small_accounts))

    def _customers(self) -> Iterator[Fact]:
        for cycle, number in self._names():
            yield from customer(_account(cycle, number), number, _msisdn(cycle, number), cycle=cycle)

    def _usages(self) -> Iterator[Fact]:
        for month in range(self.runs):
            start = datetime(2026, 1 + month, 3, 12, tzinfo=UTC)
            for cycle, number in self._names():
                for position, usage_type in enumerate(USAGE_TYPES):
                    yield UsageReceived(
                        id=f"{month}-{cycle}-{number}-{position}",
                        identifier=_msisdn(cycle, number),
                        usage_type=usage_type,
                        started_at=start + timedelta(minutes=number % 10_000),
                        quantity=Decimal(61 + number % 1_800),
                        unit="s",
                    )


class _Stack:
    """The four services and the hands that drive them."""

    def __init__(self, settings: RuntimeSettings, services: Sequence[Program], client: AsyncMongoClient, publisher: FactPublisher) -> None:
        self._settings = settings
        self._processes = {service.name: psutil.Process(service.pid) for service in services}
        self._publisher = publisher
        self._bills = database(client, settings, "invoicing")["bills"]
        self._documents = database(client, settings, "invoicing")["documents.files"]
        self._runs = database(client, settings, "operations")["runs"]

    async def publish(self, facts: Iterable[Fact]) -> None:
        facts = iter(facts)
        while chunk := list(islice(facts, PUBLISHED_AT_A_TIME)):
            await self._publisher.publish(chunk)

    async def run_cycle(self, cycle: str, month: str, count: int) -> CycleRun:
        run_id = f"{cycle}:{month}"
        cpu_before_s = self._cpu_s()
        started = time.perf_counter()
        await self.publish([BillRunRequested(id=run_id, cycle=cycle, period=month, requested_at=datetime.now(UTC))])
        await self._until(lambda: self._is_completed(run_id), f"run {run_id}")
        seconds = time.perf_counter() - started
        await settled(self._settings, TIMEOUT_S)
        settled_s = time.perf_counter() - started
        cpu_s = self._cpu_s()
        run = await self._runs.find_one({"_id": run_id})
        if run is None or run["counts"]["billed"] != count:
            raise RuntimeError(f"run {run_id} did not bill {count} accounts: {run}")
        lines = [len(bill["lines"]) async for bill in self._bills.find({"cause_id": run_id}, {"lines.charge_id": 1})]
        if len(lines) != count or set(lines) != {LINES_PER_BILL}:
            raise RuntimeError(f"run {run_id} made {len(lines)} bills of {sorted(set(lines))} lines")
        return CycleRun(count, seconds, settled_s, {name: 1000 * (cpu_s[name] - cpu_before_s[name]) / count for name in cpu_s})

    async def render(self, count: int) -> float:
        """Documents per second, from the first request to the last document in GridFS."""
        bills = [bill async for bill in self._bills.find({}, {"account_id": 1}).limit(count)]
        at = datetime.now(UTC)
        started = time.perf_counter()
        await self.publish(
            BillDocumentRequested(id=f"document-{bill['_id']}", bill_id=bill["_id"], account_id=bill["account_id"], requested_at=at)
            for bill in bills
        )
        await self._until(lambda: self._has_documents(len(bills)), f"{len(bills)} documents")
        return len(bills) / (time.perf_counter() - started)

    async def _has_documents(self, count: int) -> bool:
        return await self._documents.count_documents({}) >= count

    def _cpu_s(self) -> dict[str, float]:
        return {name: sum(process.cpu_times()[:2]) for name, process in self._processes.items()}

    async def _is_completed(self, run_id: str) -> bool:
        return await self._runs.find_one({"_id": run_id, "state": "completed"}, {"_id": 1}) is not None

    async def _until(self, reached: Callable[[], Awaitable[bool]], what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while not await reached():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not done in {TIMEOUT_S:g} s")
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _stack(settings: RuntimeSettings, directory: Path) -> AsyncIterator[_Stack]:
    books = directory / "rate-books"
    books.mkdir()
    (books / "bench.yaml").write_text(RATE_BOOK)
    environment = {**os.environ, "RATE_BOOKS_DIR": str(books)}
    services = [
        service_process(name, settings, port=free_port(), log=directory / f"{name}.log", environment=environment) for name in SERVICES
    ]
    await create_topics(settings)
    publisher = FactPublisher("bench", settings)
    client = connect(settings)
    try:
        for service in services:
            service.launch()
        await asyncio.gather(*(service.wait_ready() for service in services))
        await publisher.start()
        yield _Stack(settings, services, client, publisher)
    finally:
        await asyncio.gather(*(service.terminate() for service in services))
        await publisher.stop()
        await drop_namespace(settings, client, SERVICES)


def _summary(large: Sequence[CycleRun], small: Sequence[CycleRun], documents_per_s: float) -> dict[str, object]:
    cost_ratios = [few.bills_per_s / many.bills_per_s for many, few in zip(large, small, strict=True)]
    return {
        "accounts": large[0].bills,
        "bills_per_s": round(median(run.bills_per_s for run in large)),
        "small_accounts": small[0].bills,
        "small_bills_per_s": round(median(run.bills_per_s for run in small)),
        "cost_ratio": round(median(cost_ratios), 3),
        "documents_per_s": round(documents_per_s, 1),
        "cpu_ms_per_bill": {name: round(median(run.cpu_ms_per_bill[name] for run in large), 2) for name in SERVICES},
        "runs": {
            "bills_per_s": [round(run.bills_per_s) for run in large],
            "small_bills_per_s": [round(run.bills_per_s) for run in small],
            "cost_ratio": [round(ratio, 3) for ratio in cost_ratios],
            "settled_s": [round(run.settled_s, 2) for run in large],
        },
    }


def _account(cycle: str, number: int) -> str:
    return f"{cycle}-{number:08d}"


def _msisdn(cycle: str, number: int) -> str:
    return f"+34{'6' if cycle == LARGE else '7'}{number:08d}"


def _month(number: int) -> str:
    return f"2026-{number + 1:02d}"
