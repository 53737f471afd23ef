"""A small service to park in: two handlers on an ordered and on an unordered fact, whose judge says what cannot be handled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from copy import copy
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from libs.contracts import BillStateRequested, Fact, OnDemandBillRequested
from libs.runtime import Batch, RuntimeSettings, Service
from libs.runtime.lag import LagReader, lag_reader
from tests.world import WAIT_S

POLL_S = 0.05
AT = datetime(2026, 4, 1, tzinfo=UTC)


class Judge:
    """Raises what is objected to a message by its id, and remembers what was handled, in order."""

    def __init__(self) -> None:
        self.objections: dict[str, Exception] = {}
        self.rejects_all: Exception | None = None
        self.handled: list[str] = []
        self.handled_at: dict[str, float] = {}

    def hear(self, batch: Batch[Any]) -> None:
        for fact in batch:
            if self.rejects_all is not None:
                raise copy(self.rejects_all)
            if fact.id in self.objections:
                # A fresh one each time: an error that is raised again keeps the traceback of each time.
                raise copy(self.objections[fact.id])
        for fact in batch:
            self.handled.append(fact.id)
            self.handled_at.setdefault(fact.id, asyncio.get_running_loop().time())

    def of(self, key: str) -> list[str]:
        """What was handled of a key, each message once, in order."""
        return [id for id in dict.fromkeys(self.handled) if id.startswith(f"{key}-")]


async def change_states(batch: Batch[BillStateRequested], *, judge: Judge) -> Sequence[Fact]:
    """An ordered fact."""
    judge.hear(batch)
    return []


async def hear_requests(batch: Batch[OnDemandBillRequested], *, judge: Judge) -> Sequence[Fact]:
    """A fact without order."""
    judge.hear(batch)
    return []


def new_service(settings: RuntimeSettings, judge: Judge) -> Service:
    """Makes the service; making it again is starting it again, perhaps with a judge who knows better."""
    service = Service("ledger", settings)
    service.subscribe(partial(change_states, judge=judge))
    service.subscribe(partial(hear_requests, judge=judge))
    return service


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[LagReader]:
    """Run a service beside a reader of its lag."""
    async with service.running(), lag_reader(service.settings) as lag:
        yield lag


def state_request(key: str, number: int) -> tuple[bytes, bytes]:
    """Key and body of a message that keeps its place among those of its key."""
    fact = BillStateRequested(id=f"{key}-{number:05}", bill_id="b", account_id=key, state="onHold", requested_at=AT)
    return key.encode(), fact.to_message()


def demand(key: str, number: int) -> tuple[bytes, bytes]:
    """Key and body of a message without order."""
    return key.encode(), OnDemandBillRequested(id=f"{key}-{number:05}", account_id=key, requested_at=AT).to_message()


async def send(settings: RuntimeSettings, fact: type[Fact], messages: Sequence[tuple[bytes | None, bytes]]) -> None:
    """Publish keys and bodies in order."""
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, linger_ms=20) as producer:
        sent = [await producer.send(settings.topic(fact.topic), body, key=key) for key, body in messages]
        await asyncio.gather(*sent)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Poll until it holds. Raises TimeoutError when that takes too long."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():
            await asyncio.sleep(POLL_S)


async def readiness(service: Service) -> httpx.Response:
    """Ask a service whether it is ready."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service.http), base_url="http://service") as client:
        return await client.get("/health/ready")


async def states(service: Service) -> dict[str, int]:
    """How many messages there are in each state."""
    counted = await service.database["parked"].aggregate([{"$group": {"_id": "$state", "count": {"$sum": 1}}}])
    return {one["_id"]: one["count"] async for one in counted}
