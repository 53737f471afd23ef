"""Commands talk with services by facts: they listen first, then publish what they ask, then hear what is answered under its id."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.cli.errors import CommandError
from libs.contracts import Fact
from libs.runtime import RuntimeSettings
from libs.runtime.publisher import FactPublisher

ANSWER_TIMEOUT_S = 60.0


@asynccontextmanager
async def asked(
    settings: RuntimeSettings, requests: Sequence[Fact], heard: Sequence[type[Fact]]
) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """Publish the requests; what is yielded waits for the next fact of one of the classes in `heard`, whoever caused it."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    classes = {settings.topic(fact.topic): fact for fact in heard}
    try:
        # One that could not be started is to be stopped, too.
        await consumer.start()
        partitions = [TopicPartition(topic, number) for topic, fact in classes.items() for number in range(fact.partitions)]
        consumer.assign(partitions)
        # Settled before anything is published: the answer may come at once.
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)
        await publish(settings, requests)

        async def next_fact() -> Any:
            message = await consumer.getone()
            return classes[message.topic].from_message(message.value)

        yield next_fact
    finally:
        await consumer.stop()


async def ask(settings: RuntimeSettings, requests: Sequence[Any], answers: Sequence[type[Fact]], *, what: str) -> list[Any]:
    """The answer to each request, a fact whose `id` the answer repeats; `what` names the requests where some are not answered."""
    waiting = {request.id for request in requests}
    found: dict[str, Any] = {}
    async with asked(settings, requests, answers) as next_fact:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while waiting - found.keys():
                    answer = await next_fact()
                    if answer.id in waiting:
                        found[answer.id] = answer
        except TimeoutError:
            raise CommandError(
                f"{len(found)} of {len(waiting)} {what} were answered within {ANSWER_TIMEOUT_S:g} s",
                "see `tarifa status`; it acts on the others once it is up",
            ) from None
    return [found[id] for id in dict.fromkeys(request.id for request in requests)]


async def publish(settings: RuntimeSettings, requests: Sequence[Fact]) -> None:
    """Tell services what is asked of them."""
    publisher = FactPublisher("cli", settings)
    await publisher.start()
    try:
        await publisher.publish(requests)
    finally:
        await publisher.stop()
