"""The month replayed: calls published to Kafka as mediation would, keyed by number, as fast as the broker takes them."""

import asyncio
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from libs.contracts import UsageReceived
from libs.demo.mediation import Call
from libs.runtime import RuntimeSettings

BATCH_BYTES = 262_144


async def publish_calls(settings: RuntimeSettings, calls: Iterable[Call], on_published: Callable[[int], None]) -> None:
    """Publish all, in order per number, and return once all are acknowledged; `on_published(count)` tells each batch that left.

    Fills the record batches itself: one trip through the producer per batch instead of one per call. Raises KafkaError.
    """
    producer = AIOKafkaProducer(
        bootstrap_servers=settings.kafka_bootstrap_servers, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        await _Outbox(producer, settings.topic(UsageReceived.topic), on_published).send(calls)
    finally:
        await producer.stop()


class _Outbox:
    """One batch being filled per partition. The producer lets at most one more per partition wait, which bounds memory."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, on_published: Callable[[int], None]) -> None:
        self._producer = producer
        self._topic = topic
        self._on_published = on_published
        self._acknowledged: list[asyncio.Future] = []

    async def send(self, calls: Iterable[Call]) -> None:
        partitions = sorted(await self._producer.partitions_for(self._topic))
        choose_partition = DefaultPartitioner()
        chosen: dict[str, int] = {}
        filling = {partition: self._producer.create_batch() for partition in partitions}
        for call in calls:
            key, body = call.identifier.encode(), call.to_message()
            if call.identifier not in chosen:
                chosen[call.identifier] = choose_partition(key, partitions, partitions)
            partition = chosen[call.identifier]
            if filling[partition].append(timestamp=None, key=key, value=body) is None:
                await self._send_batch(filling[partition], partition)
                filling[partition] = self._producer.create_batch()
                filling[partition].append(timestamp=None, key=key, value=body)
        for partition, batch in filling.items():
            if batch.record_count():
                await self._send_batch(batch, partition)
        await asyncio.gather(*self._acknowledged)

    async def _send_batch(self, batch, partition: int) -> None:
        self._acknowledged.append(await self._producer.send_batch(batch, self._topic, partition=partition))
        self._on_published(batch.record_count())
