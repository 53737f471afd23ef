"""MongoDB and Kafka die and hang while monitoring polls the readiness of every service: all come back by themselves."""

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

from libs.contracts import HubEventRaised, SubscriptionChanged
from libs.devstack.program import Program
from tests.faults.live_stack import LiveStack
from tests.services.hub_subscriber import listening

POLL_S = 0.2
PATIENCE_S = 1.0
ROUNDS = int(os.environ.get("POLLING_ROUNDS", "1"))
AWAY_S = 6.0
# Kubernetes kills after thirty.
STOP_S_MAX = 25.0
RECOVERED_S_MAX = 60.0
EVENTS_EVERY_S = 0.05


@asynccontextmanager
async def polled(live: LiveStack) -> AsyncIterator[None]:
    """Ask every service all the while, as one would whose patience is one second."""

    async def poll_all() -> None:
        async with asyncio.TaskGroup() as asking:
            while not over.is_set():
                for service in live.services.values():
                    asking.create_task(poll(urlsplit(service.address).port or 0))
                await asyncio.sleep(POLL_S)

    over = asyncio.Event()
    polling = asyncio.create_task(poll_all())
    try:
        yield
    finally:
        over.set()
        await polling


async def poll(port: int) -> None:
    """Ask without a library: on a busy machine the test must not be what is slow."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return


async def kill(server: Program) -> None:
    await server.kill()
    await asyncio.sleep(AWAY_S)
    await server.start()


async def hang(server: Program) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(2 * AWAY_S)
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def test_every_service_comes_back_after_a_server_was_away(live: LiveStack) -> None:
    mongodb, kafka = live.infrastructure.mongodb, live.infrastructure.kafka
    assert isinstance(mongodb, Program)
    assert isinstance(kafka, Program)
    faults = {"killed": partial(kill, mongodb), "hung": partial(hang, mongodb), "kafka-hung": partial(hang, kafka)}
    pids = {name: service.pid for name, service in live.services.items()}
    async with listening() as crm:
        subscription = SubscriptionChanged(id="polled", api="TMF678", callback=crm.url, changed_at=datetime.now(UTC))
        await live.publish(subscription)
        async with polled(live):
            for number, (name, fault) in itertools.product(range(ROUNDS), faults.items()):
                await fault_under_deliveries(live, fault, f"{name}-{number}")
                await live.publish(event(f"{name}-{number}-after"))
                await crm.gets_all({f"{name}-{number}-after"})
        assert {name: service.pid for name, service in live.services.items()} == pids, "a service ended"
    await stops_in_time(live.services["notifications"])


async def fault_under_deliveries(live: LiveStack, fault: Callable[[], Awaitable[None]], name: str) -> None:
    over, numbers = asyncio.Event(), itertools.count()

    async def raise_events() -> None:
        while not over.is_set():
            await live.publish(event(f"{name}-{next(numbers)}"))
            await asyncio.sleep(EVENTS_EVERY_S)

    raising = asyncio.create_task(raise_events())
    try:
        await asyncio.sleep(1)
        await fault()
    finally:
        over.set()
        await raising
    await asyncio.gather(*(service.wait_ready(RECOVERED_S_MAX) for service in live.services.values()))


async def stops_in_time(service: Program) -> None:
    began = time.monotonic()
    await service.terminate()
    assert time.monotonic() - began < STOP_S_MAX
    await service.start()


def event(event_id: str) -> HubEventRaised:
    return HubEventRaised(
        id=event_id,
        api="TMF678",
        event_type="CustomerBillStateChangeEvent",
        resource_id=f"bill-{event_id}",
        raised_at=datetime.now(UTC),
        envelope={"eventId": event_id, "event": {"customerBill": {"id": event_id}}},
    )
