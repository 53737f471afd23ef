"""How far handlers are behind: nothing counts as settled while its group is being divided, and the first reading waits for no topic."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener

from libs.contracts import all_facts
from libs.runtime import RuntimeSettings
from libs.runtime.lag import NotSettled, lag_reader
from libs.runtime.publisher import FactPublisher
from tests.outcomes import account

WAIT_S = 30.0
A_MOMENT_S = 1.0


class HeldBack(ConsumerRebalanceListener):
    """Lets its group be divided anew only when told so."""

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.is_assigned = False

    async def on_partitions_revoked(self, revoked: set) -> None:
        if self.is_assigned:
            self.is_asked.set()
            await self.may_go_on.wait()

    async def on_partitions_assigned(self, assigned: set) -> None:
        self.is_assigned = True


@asynccontextmanager
async def member(settings: RuntimeSettings, topics: list[str], listener: HeldBack) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group of ledger's, which reads nothing and commits nothing."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group_id=settings.topic("ledger.read_nothing"),
        enable_auto_commit=False,
        heartbeat_interval_ms=200,
    )
    consumer.subscribe(topics, listener=listener)
    try:
        await consumer.start()
        yield consumer
    finally:
        listener.may_go_on.set()
        await consumer.stop()


async def test_a_message_that_waits_is_never_settled_while_its_group_is_divided_anew(settings: RuntimeSettings) -> None:
    fact = account("ada")
    topics = [settings.topic(fact.topic)]
    publisher = FactPublisher("test", settings)
    first, second = HeldBack(), HeldBack()
    async with lag_reader(settings) as lag, member(settings, topics, first):
        await publisher.start()
        await publisher.publish([fact])
        await publisher.stop()
        with pytest.raises(NotSettled, match=r"ledger\.read_nothing': 1"):
            await lag.settled(A_MOMENT_S)
        joining = asyncio.create_task(member(settings, topics, second).__aenter__())
        async with asyncio.timeout(WAIT_S):
            await first.is_asked.wait()
        with pytest.raises(NotSettled, match="being divided"):
            await lag.settled(A_MOMENT_S)
        first.may_go_on.set()
        await (await joining).stop()


async def test_the_first_reading_waits_for_no_topic(settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = list(all_facts())[:10]
    async with member(settings, [settings.topic(fact.topic) for fact in facts], HeldBack()):
        async with lag_reader(settings) as lag:
            # The broker has them all from now on.
            expected = await lag.partitions()
        # The client pauses so long where it is asked about a topic that it does not know yet.
        monkeypatch.setattr("libs.runtime.lag.AIOKafkaConsumer", partial(AIOKafkaConsumer, retry_backoff_ms=int(WAIT_S * 1000)))
        async with lag_reader(settings) as lag, asyncio.timeout(WAIT_S):
            assert await lag.partitions() == expected
    assert len(expected) == sum(fact.partitions for fact in facts)
