"""A world for stories: all seven services in this process, on real Kafka and MongoDB, in a namespace of their own.

async def test_a_story(world):
    ada = await world.customer("Ada", offering="churn-plan")
    await ada.calls(seconds=600, at="2026-03-02 10:00")
    await world.settle()
    bill = await ada.bill_on_demand()
"""

import asyncio
import importlib
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.contracts import BillRunRequested, Fact, UsageReceived
from libs.periods import time_zone
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import SERVICES, LagReader, lag_reader
from libs.runtime.mongo import connect
from libs.runtime.topics import create_topics
from tests.usages import usage_of

GATEWAY = "http://127.0.0.1:8096"
# Runs of months that end later are not due yet.
AUDITED_AT = datetime(2026, 4, 1, tzinfo=UTC)
TMF678 = "/tmf-api/customerBillManagement/v4"
TMF666 = "/tmf-api/accountManagement/v4"
TMF637 = "/tmf-api/productInventory/v4"
# Nothing takes so long that goes well: on a machine that is busy with other work it is slow, not wrong.
WAIT_S = 120.0
F = TypeVar("F", bound=Fact)


def build_service(name: str, settings: RuntimeSettings, **overrides: Any) -> Service:
    """The service `name` as its composition root builds it, in the namespace of `settings`."""
    module = importlib.import_module(f"services.{name}.service")
    (settings_class,) = {
        value
        for value in vars(module).values()
        # Its own, and none of those that it imports to build upon.
        if isinstance(value, type) and issubclass(value, RuntimeSettings) and value.__module__ == module.__name__
    }
    return module.build(settings_class(**settings.model_dump(exclude={"http_port"}), **overrides))


async def read_facts(settings: RuntimeSettings, fact: type[F]) -> list[F]:
    """Everything published on a fact's topic so far, in order per key."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.topic(fact.topic), number) for number in range(fact.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        found: list[F] = []
        unread = {partition for partition in partitions if ends[partition]}
        while unread:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(fact.from_message(record.value) for record in records)
            unread = {partition for partition in unread if await consumer.position(partition) < ends[partition]}
        return found
    finally:
        await consumer.stop()


async def read_told(settings: RuntimeSettings, fact: type[F]) -> list[F]:
    """What was published so far, each fact once and in the order in which each came first: an outbox publishes at least once."""
    return list({found.to_message(): found for found in await read_facts(settings, fact)}.values())


# Of all worlds of a process: one that is opened again on the same data must not repeat an id.
_usages = itertools.count(1)


class World:
    """Customers, their usage, and what becomes of it."""

    def __init__(self, settings: RuntimeSettings, services: dict[str, Service], lag: LagReader, gateway: httpx.AsyncClient) -> None:
        self.settings = settings
        self.services = services
        self.gateway = gateway
        self._lag = lag
        self._numbers = itertools.count(1)

    async def settle(self, timeout_s: float = WAIT_S) -> None:
        """Wait until every service has handled everything."""
        await self._lag.settled(timeout_s)

    async def publish(self, *facts: Fact) -> None:
        """Publish facts as somebody outside would."""
        await self.services["rating"].publish(facts)

    async def facts(self, fact: type[F], account_id: str | None = None) -> list[F]:
        """The facts of a kind so far, of one account when named."""
        return [found for found in await read_facts(self.settings, fact) if account_id in (None, getattr(found, "account_id", None))]

    async def customer(
        self,
        name: str,
        *,
        offering: str = "churn-plan",
        currency: str = "USD",
        zone: str = "America/New_York",
        started_at: str = "2025-01-01T00:00:00Z",
        **account: Any,
    ) -> "Customer":
        """A billing account with one product, opened over the TMF APIs; returns once every service knows them."""
        body = {
            "name": name,
            "state": "active",
            "currency": currency,
            "timeZone": zone,
            "relatedParty": [{"id": uuid.uuid4().hex, "name": name, "@referredType": "Individual"}],
            **account,
        }
        opened = await self.post(f"{TMF666}/billingAccount", body)
        msisdn = f"+1212555{next(self._numbers):04d}"
        product = await self.post(
            f"{TMF637}/product",
            {
                "name": offering,
                "status": "active",
                "startDate": started_at,
                "billingAccount": {"id": opened["id"]},
                "productOffering": {"id": offering},
                "productCharacteristic": [{"name": "msisdn", "value": msisdn}],
            },
        )
        await self.settle()
        return Customer(self, opened["id"], product["id"], msisdn, zone)

    async def bill_run(self, period: str, cycle: str = "monthly", rerun: int = 0) -> dict[str, Any]:
        """Run a cycle and return operations' document of the run once everything has settled."""
        run_id = f"{cycle}:{period}"
        await self.publish(BillRunRequested(id=run_id, cycle=cycle, period=period, rerun=rerun, requested_at=datetime.now(UTC)))
        await self.settle()
        run = await self.services["operations"].database["runs"].find_one({"_id": run_id})
        assert run is not None, f"operations knows no run {run_id}"
        return run

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST to the gateway and return the created resource."""
        answer = await self.gateway.post(path, json=body)
        assert answer.status_code == 201, f"POST {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str, **query: str) -> Any:
        """GET from the gateway."""
        answer = await self.gateway.get(path, params=query)
        assert answer.status_code in (200, 206), f"GET {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def usage_id(self) -> str:
        """A usage id of this world's own."""
        return f"usage-{next(_usages)}"


@dataclass(frozen=True)
class Customer:
    """One account with one product and one number."""

    world: World
    account_id: str
    product_id: str
    msisdn: str
    zone: str

    def usage(self, *, at: str, seconds: int | Decimal, to: str = "+12125559999", **fields: Any) -> UsageReceived:
        """A call, not yet published; `at` is local time, `2026-03-02 10:00`."""
        started_at = datetime.fromisoformat(at).replace(tzinfo=time_zone(self.zone))
        call = {
            "id": self.world.usage_id(),
            "identifier": self.msisdn,
            "usage_type": "voice",
            "started_at": started_at,
            "quantity": seconds,
            "unit": "s",
            "called_number": to,
        }
        return usage_of(**{**call, **fields})

    async def calls(self, *, at: str, seconds: int, to: str = "+12125559999", count: int = 1) -> list[UsageReceived]:
        """Publish `count` calls of so many seconds each."""
        usages = [self.usage(at=at, seconds=seconds, to=to) for _ in range(count)]
        await self.world.publish(*usages)
        return usages

    async def request_bill(self) -> dict[str, Any]:
        """POST a bill on demand and return the answer at once."""
        return await self.world.post(f"{TMF678}/customerBillOnDemand", {"billingAccount": {"id": self.account_id}})

    async def bill_on_demand(self) -> dict[str, Any]:
        """Ask for a bill and wait for the end of the request."""
        requested = await self.request_bill()
        return await self.ended(requested["id"])

    async def ended(self, request_id: str) -> dict[str, Any]:
        """The on-demand request once it is no longer in progress."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            request = await self.world.get(f"{TMF678}/customerBillOnDemand/{request_id}")
            if request["state"] != "inProgress":
                return request
            await asyncio.sleep(0.02)
        raise TimeoutError(f"on-demand request {request_id} is still in progress")

    async def bills(self) -> list[dict[str, Any]]:
        """This customer's bills as TMF678 shows them."""
        return await self.world.get(f"{TMF678}/customerBill", **{"billingAccount.id": self.account_id})

    async def rates(self, **query: str) -> list[dict[str, Any]]:
        """This customer's applied billing rates."""
        return await self.world.get(f"{TMF678}/appliedCustomerBillingRate", **{"billingAccount.id": self.account_id}, **query)


@asynccontextmanager
async def open_world(infrastructure: dict[str, str], names: Iterable[str] = SERVICES) -> AsyncIterator[World]:
    """Fresh topics and databases with those services running; all gone afterwards."""
    settings = RuntimeSettings(**infrastructure, namespace=f"w{uuid.uuid4().hex[:12]}")
    await create_topics(settings)
    try:
        async with running_world(settings, names) as world:
            yield world
    finally:
        await drop_databases(settings)


@asynccontextmanager
async def running_world(settings: RuntimeSettings, names: Iterable[str] = SERVICES) -> AsyncIterator[World]:
    """Those services on the topics and databases of a namespace, which stay."""
    async with AsyncExitStack() as stack:
        services = {name: build_service(name, settings) for name in names}
        await asyncio.gather(*(stack.enter_async_context(service.running()) for service in services.values()))
        lag = await stack.enter_async_context(lag_reader(settings))
        door = services["tmf_gateway"].http if "tmf_gateway" in services else services["rating"].http
        gateway = await stack.enter_async_context(
            httpx.AsyncClient(transport=httpx.ASGITransport(app=door), base_url=GATEWAY, timeout=WAIT_S)
        )
        yield World(settings, services, lag, gateway)


async def drop_databases(settings: RuntimeSettings) -> None:
    """Drop the databases of a namespace."""
    client = connect(settings)
    for name in await client.list_database_names():
        if name.startswith(f"{settings.namespace}_"):
            await client.drop_database(name)
    await client.close()


def amounts(lines: Sequence[dict[str, Any]]) -> list[Decimal]:
    """The amounts before tax of TMF rates, exactly as written in JSON."""
    return [Decimal(str(line["taxExcludedAmount"]["value"])) for line in lines]
