"""Thousands of bad messages in a row stop no handler, and delay nobody else's.

10,000 on one topic with order and one without, for a handler that does nothing else; then some on every topic that a service
reads, against all seven services. 10,000 on each of those would take minutes and go the same way.
"""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from libs.contracts import BillStateRequested, Fact, OnDemandBillRequested, all_facts
from libs.runtime import RuntimeSettings
from libs.runtime.lag import SERVICES, lag_reader
from tests.services.parking_desk import Judge, demand, new_service, readiness, running, send, state_request, states
from tests.world import build_service

FLOOD = 10_000
GOOD = 100
FLOOD_TIMEOUT_S = 120.0
OF_EACH_TOPIC = 100
# They come back as suspense, each with its reason.
TAKES_MALFORMED = {"rate_usages"}


@pytest.mark.parametrize(("fact", "message"), [(BillStateRequested, state_request), (OnDemandBillRequested, demand)])
async def test_ten_thousand_bad_messages_in_a_row_delay_no_good_ones(settings: RuntimeSettings, fact: type[Fact], message) -> None:
    judge = Judge()
    bad = [message(f"bad{number}", 0) for number in range(FLOOD)]
    # Half of them cannot be read, the others cannot be stored.
    judge.objections = {f"bad{number}-00000": OverflowError("too large") for number in range(0, FLOOD, 2)}
    bad = [pair if number % 2 == 0 else (pair[0], b"not json") for number, pair in enumerate(bad)]
    every = FLOOD // GOOD
    mixed = [part for number in range(GOOD) for part in (*bad[number * every : (number + 1) * every], message("good", number))]
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, fact, mixed)
        started = time.monotonic()
        await lag.settled(FLOOD_TIMEOUT_S)
        took = time.monotonic() - started
        answer = await readiness(service)
        assert (await states(service)) == {"parked": FLOOD}
    assert judge.of("good") == [f"good-{number:05}" for number in range(GOOD)]
    assert answer.status_code == 200
    assert took < FLOOD_TIMEOUT_S


async def test_bad_messages_on_every_topic_stop_no_service(settings: RuntimeSettings) -> None:
    services = [build_service(name, settings) for name in SERVICES]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(service.running()) for service in services))
        lag = await stack.enter_async_context(lag_reader(settings))
        for fact in all_facts():
            await send(settings, fact, [(f"key{number}".encode(), b'{"id": 1e400') for number in range(OF_EACH_TOPIC)])
        await lag.settled(FLOOD_TIMEOUT_S)
        for service in services:
            assert (await readiness(service)).status_code == 200, service.name
            counted = await service.database["parked"].aggregate(
                [{"$group": {"_id": {"handler": "$handler", "topic": "$topic_name"}, "count": {"$sum": 1}}}]
            )
            kept = {(one["_id"]["handler"], one["_id"]["topic"]): one["count"] async for one in counted}
            read = {
                (consumer.subscription.name, topic)
                for consumer in service._consumers
                for topic in consumer.subscription._topics
                if consumer.subscription.name not in TAKES_MALFORMED
            }
            assert kept == dict.fromkeys(read, OF_EACH_TOPIC)
        assert await services[0].database["suspense"].count_documents({}) == 1, "the same bytes are one usage that cannot be read"
