"""All seven services as real processes on real servers, so that a test can kill any of them as a crash would."""

import asyncio
import itertools
import os
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from libs.contracts import BillRunRequested, Fact, UsageReceived
from libs.devstack import Infrastructure, free_port, service_process
from libs.devstack.program import Program
from libs.devstack.settings import SERVICES
from libs.runtime import RuntimeSettings
from libs.runtime.lag import LagReader, lag_reader
from libs.runtime.mongo import connect, database
from libs.runtime.publisher import FactPublisher
from libs.runtime.topics import create_topics
from services.tmf_gateway.store import WITH_OUTBOX
from tests.usages import usage_of
from tests.world import TMF637, TMF666

# The shortest that Kafka allows: a killed consumer's partitions wait this long for their next owner.
SESSION_TIMEOUT_MS = 6_000
ANSWER_TIMEOUT_S = 60.0
SETTLE_TIMEOUT_S = 120.0
WORK_TIMEOUT_S = 120.0
AGAIN_AFTER_S = 0.1
PERIOD = "2026-03"
FIRST_CALL_AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)

T = TypeVar("T")


@dataclass
class LiveCustomer:
    """An account with one product and one number, and the calls made with it."""

    account_id: str
    msisdn: str
    usages: list[UsageReceived] = field(default_factory=list)

    def calls(self, count: int) -> list[UsageReceived]:
        """New calls, remembered and not yet published."""
        calls = [
            usage_of(
                id=uuid.uuid4().hex,
                identifier=self.msisdn,
                usage_type="voice",
                started_at=FIRST_CALL_AT + timedelta(minutes=7 * number),
                quantity=17 + number % 600,
                unit="s",
                called_number="+12125559999" if number % 5 else "+34911234567",
            )
            for number in range(count)
        ]
        self.usages.extend(calls)
        return calls


class LiveStack:
    """Drives the stack only as its users can, over HTTP and Kafka, trying again while something is away as they would."""

    def __init__(
        self,
        infrastructure: Infrastructure,
        settings: RuntimeSettings,
        services: dict[str, Program],
        gateway: httpx.AsyncClient,
        publisher: FactPublisher,
        lag: LagReader,
    ) -> None:
        self.infrastructure = infrastructure
        self.settings = settings
        self.services = services
        self._gateway = gateway
        self._publisher = publisher
        self._lag = lag
        self._numbers = itertools.count(1)
        self._client = connect(settings)

    async def publish(self, *facts: Fact) -> None:
        """Publish as somebody outside would."""
        await self._persist(lambda: self._publisher.publish(facts))

    async def publish_raw(self, fact: type[Fact], key: bytes, body: bytes) -> None:
        """Publish bytes as they are on a fact's topic."""
        await self._publisher.publish_raw(self.settings.topic(fact.topic), key, body)

    async def settle(self) -> None:
        """Wait until every service is ready, the gateway has published all that it stored, and everything is handled."""
        await asyncio.gather(*(service.wait_ready() for service in self.services.values()))
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while unpublished := await self._persist(self._unpublished):
            if time.monotonic() > deadline:
                raise TimeoutError(f"the gateway has not published {unpublished} documents")
            await asyncio.sleep(AGAIN_AFTER_S)
        await self._persist(lambda: self._lag.settled(SETTLE_TIMEOUT_S))

    async def customers(self, count: int, cycle: str) -> list[LiveCustomer]:
        """Open so many accounts with a product each, as a CRM does, and wait until every service knows them."""
        opened = await asyncio.gather(*(self._customer(cycle) for _ in range(count)))
        await self.settle()
        return list(opened)

    async def run_cycle(self, cycle: str) -> dict[str, Any]:
        """Start a bill run and wait for its end."""
        run_id = f"{cycle}:{PERIOD}"
        await self.publish(BillRunRequested(id=run_id, cycle=cycle, period=PERIOD, requested_at=datetime.now(UTC)))
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while True:
            run = await self._persist(lambda: self.collection("operations", "runs").find_one({"_id": run_id}))
            if run is not None and run["state"] != "running":
                return run
            if time.monotonic() > deadline:
                raise TimeoutError(f"bill run {run_id} has not ended: {run}")
            await asyncio.sleep(AGAIN_AFTER_S)

    def collection(self, service: str, name: str) -> Any:
        """A collection, to look at."""
        return database(self._client, self.settings, service)[name]

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST until the gateway answers, which must be 201."""
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            try:
                answer = await self._gateway.post(path, json=body)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                    assert answer.status_code == httpx.codes.CREATED, f"POST {path}: {answer.status_code} {answer.text}"
                    return answer.json()
            await asyncio.sleep(AGAIN_AFTER_S)

    async def kill_at_work(self, name: str) -> None:
        """SIGKILL a service at a moment when it has something in hand, and launch it again at once."""
        program = self.services[name]
        deadline = time.monotonic() + WORK_TIMEOUT_S
        while True:
            # Frozen, so that what it has in hand while we look is still in hand when it dies.
            with _frozen(program):
                if await self.has_work(name):
                    await program.kill()
                    break
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} had nothing to do for {WORK_TIMEOUT_S:g} s")
            await asyncio.sleep(AGAIN_AFTER_S)
        program.launch()

    async def has_work(self, name: str = "") -> bool:
        """Whether a service, or any, has something in hand."""
        lags = await self._persist(self._lag.lags)
        return any(lag for group, lag in lags.items() if group.startswith(self.settings.topic(name)))

    async def _unpublished(self) -> int:
        outboxes = [self.collection("tmf_gateway", name) for name in WITH_OUTBOX]
        return sum([await outbox.count_documents({"outbox.revision": {"$gt": 0}}) for outbox in outboxes])

    async def _customer(self, cycle: str) -> LiveCustomer:
        number = next(self._numbers)
        account = await self.post(
            f"{TMF666}/billingAccount",
            {
                "name": f"Customer {number}",
                "state": "active",
                "currency": "USD",
                "timeZone": "America/New_York",
                "billStructure": {"cycleSpecification": {"name": cycle}},
                "relatedParty": [{"id": uuid.uuid4().hex, "name": f"Customer {number}", "@referredType": "Individual"}],
            },
        )
        msisdn = f"+1212556{number:04d}"
        await self.post(
            f"{TMF637}/product",
            {
                "name": "Churn plan",
                "status": "active",
                "startDate": "2025-01-01T00:00:00Z",
                "billingAccount": {"id": account["id"]},
                "productOffering": {"id": "churn-plan"},
                "productCharacteristic": [{"name": "msisdn", "value": msisdn}],
            },
        )
        return LiveCustomer(account["id"], msisdn)

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            try:
                return await attempt()
            except (KafkaError, PyMongoError):
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(AGAIN_AFTER_S)


@contextmanager
def _frozen(program: Program) -> Iterator[None]:
    process = psutil.Process(program.pid)
    process.suspend()
    try:
        yield
    finally:
        if process.is_running():
            process.resume()


@asynccontextmanager
async def open_live_stack(infrastructure: Infrastructure, directory: Path) -> AsyncIterator[LiveStack]:
    """Seven processes on free ports; their logs lie in `directory`."""
    settings = infrastructure.settings("live").model_copy(update={"kafka_session_timeout_ms": SESSION_TIMEOUT_MS})
    await create_topics(settings)
    environment = {**os.environ, "KAFKA_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS), "HUB_ALLOWED_NETWORKS": "127.0.0.0/8"}
    services = {
        name: service_process(name, settings, port=free_port(), log=directory / f"{name}.log", environment=environment) for name in SERVICES
    }
    publisher = FactPublisher("test", settings)
    try:
        for service in services.values():
            service.launch()
        await asyncio.gather(*(service.wait_ready() for service in services.values()))
        await publisher.start()
        gateway_url = services["tmf_gateway"].address
        async with lag_reader(settings) as lag, httpx.AsyncClient(base_url=gateway_url, timeout=ANSWER_TIMEOUT_S) as gateway:
            yield LiveStack(infrastructure, settings, services, gateway, publisher, lag)
    finally:
        await asyncio.gather(*(service.terminate() for service in services.values()))
        await publisher.stop()


def identifiers(customers: Sequence[LiveCustomer]) -> list[str]:
    """The accounts of customers."""
    return [customer.account_id for customer in customers]
