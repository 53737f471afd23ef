"""/health/ready tells the truth: ready as soon as a service does its work, and not when one of its consumers does not."""

import asyncio
import time
from typing import Any

import httpx
import pytest
from pymongo.errors import ConnectionFailure

from libs.runtime import RuntimeSettings, Service
from tests.world import WAIT_S, build_service


async def what_is_down(service: Service) -> dict[str, str]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service.http), base_url="http://service") as client:
        answer = await client.get("/health/ready")
    assert answer.status_code == (503 if "down" in answer.json() else 200)
    return answer.json().get("down", {})


async def ready(service: Service) -> None:
    deadline = time.monotonic() + WAIT_S
    while down := await what_is_down(service):
        assert time.monotonic() < deadline, down
        await asyncio.sleep(0.05)


async def test_a_second_worker_is_ready_although_the_first_has_the_only_partition(settings: RuntimeSettings) -> None:
    async with build_service("ledger", settings).running() as first, build_service("ledger", settings).running() as second:
        await ready(first)
        await ready(second)


async def test_a_service_is_not_ready_before_it_has_started(settings: RuntimeSettings) -> None:
    ledger = build_service("ledger", settings)
    down = await what_is_down(ledger)
    assert list(down) == ["service"]
    assert down["service"].startswith("starting: waiting for Kafka and MongoDB (since ")
    async with ledger.running():
        await ready(ledger)


async def test_a_consumer_that_ended_is_named(settings: RuntimeSettings) -> None:
    async with build_service("ledger", settings).running() as ledger:
        await ready(ledger)
        consuming = next(task for task in asyncio.all_tasks() if "_run_consume_loop" in repr(task.get_coro()))
        consuming.cancel()
        await asyncio.wait([consuming])
        assert "restart" in " ".join((await what_is_down(ledger)).values())


async def test_warnings_are_shown_beside_faults_and_leave_the_service_ready(settings: RuntimeSettings) -> None:
    async def gaps() -> dict[str, str]:
        return {"usage.received.v1": "12 messages were deleted unread"}

    async def lost() -> dict[str, str]:
        raise ConnectionFailure("away")

    ledger = build_service("ledger", settings)
    ledger.add_warnings(gaps)
    ledger.add_warnings(lost)
    async with ledger.running():
        await ready(ledger)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=ledger.http), base_url="http://service") as client:
            answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "service": "ledger",
        "status": "ready",
        "warnings": {"usage.received.v1": "12 messages were deleted unread", "lost": "is not known now: ConnectionFailure"},
    }


async def test_readiness_answers_in_time_where_mongodb_kafka_and_what_is_warned_of_all_hang(settings: RuntimeSettings) -> None:
    async def hanging(*_: Any, **__: Any) -> Any:
        await asyncio.sleep(timeout_s)
        raise TimeoutError

    timeout_s = 1.0
    ledger = build_service("ledger", settings)
    ledger.add_warnings(hanging)
    async with ledger.running():
        await ready(ledger)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(ledger._mongodb._pinged, "answer", hanging)
            patched.setattr(ledger._broker, "ping", lambda timeout: asyncio.sleep(timeout_s, False))
            began = time.monotonic()
            down = await what_is_down(ledger)
            taken_s = time.monotonic() - began
    assert {"mongodb", "kafka"} <= set(down)
    assert taken_s < 2 * timeout_s
