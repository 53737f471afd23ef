"""Publishing facts: each to its topic, under its key, acknowledged by the broker before the call returns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.partitioner import murmur2

from libs.contracts import Fact
from libs.runtime.metrics import PUBLISHED
from libs.runtime.settings import RuntimeSettings

# A batch of a thousand rated usages should leave in a few requests, and a single fact at once.
PRODUCER_BATCH_BYTES = 262_144
PRODUCER_LINGER_MS = 1
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# Futures held at a time: bounds memory when a bill run publishes a cut for every account.
PUBLISH_CHUNK = 5_000
# While Kafka is away nothing can be flushed, and a service that was told to stop must stop.
FLUSH_TIMEOUT_S = 5.0
# From so many messages on, whole batches are built here: a future and a partition look-up for each message cost more than
# the message. Fewer go one by one, so that those of concurrent requests share a batch.
BATCHED_FROM = 100
# Hashing a key takes as long as sending it; keys are accounts and identifiers, which come again.
HASHED_KEYS_MAX = 50_000

Message = tuple[bytes, bytes]


class FactPublisher:
    """One idempotent producer per service; one that failed is replaced before the next publishing.

    A batch that Kafka refuses leaves a gap in its producer's sequence numbers, and Kafka then refuses whatever that producer
    sends to the same partition, for ever.
    """

    def __init__(self, service: str, settings: RuntimeSettings) -> None:
        self._service = service
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._has_failed = False
        self._replacing = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect, unless connected. Raises aiokafka.errors.KafkaConnectionError."""
        if self._producer is None:
            self._producer = await self._new_producer()

    async def _new_producer(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            acks="all",
            enable_idempotence=True,
            linger_ms=PRODUCER_LINGER_MS,
            max_batch_size=PRODUCER_BATCH_BYTES,
            max_request_size=MESSAGE_BYTES_MAX,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def stop(self) -> None:
        """Flush and disconnect; what cannot be flushed in time was acknowledged to nobody."""
        stopping = [*self._retiring, *([self._retire(self._producer)] if self._producer is not None else [])]
        self._producer = None
        if stopping:
            _, unflushed = await asyncio.wait(stopping, timeout=FLUSH_TIMEOUT_S)
            for task in unflushed:
                task.cancel()

    async def publish(self, facts: Iterable[Fact]) -> None:
        """Publish all, in order per key. Raises KafkaError when one is not acknowledged; then all may be sent again."""
        async with self._sound_producer() as producer:
            chunk: list[Fact] = []
            for fact in facts:
                chunk.append(fact)
                if len(chunk) >= PUBLISH_CHUNK:
                    await self._publish_chunk(producer, chunk)
                    chunk = []
            await self._publish_chunk(producer, chunk)

    async def publish_raw(self, topic: str, key: bytes | None, body: bytes) -> None:
        """Publish bytes as they are; `topic` is the full name on the broker."""
        async with self._sound_producer() as producer:
            await producer.send_and_wait(topic, value=body, key=key)

    async def publish_all_raw(self, topic: str, messages: Sequence[Message]) -> None:
        """Publish pairs of key and body as they are; `topic` is the full name on the broker."""
        async with self._sound_producer() as producer:
            await asyncio.gather(*await self._send(producer, topic, messages))

    @asynccontextmanager
    async def _sound_producer(self) -> AsyncIterator[AIOKafkaProducer]:
        if self._has_failed:
            async with self._replacing:
                if self._has_failed:
                    failed, self._producer = self._connected(), await self._new_producer()
                    self._has_failed = False
                    self._retire(failed)
        producer = self._connected()
        try:
            yield producer
        except KafkaError:
            if producer is self._producer:
                self._has_failed = True
            raise

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            # As if Kafka were away: HTTP is served before the service has started.
            raise KafkaConnectionError("not yet connected to Kafka")
        return self._producer

    def _retire(self, producer: AIOKafkaProducer) -> asyncio.Task[None]:
        # Beside what goes on: others may still await what they sent with it.
        task = asyncio.create_task(producer.stop())
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return task

    async def _publish_chunk(self, producer: AIOKafkaProducer, facts: list[Fact]) -> None:
        by_topic: dict[str, list[Message]] = {}
        for fact in facts:
            by_topic.setdefault(fact.topic, []).append((fact.key.encode(), fact.to_message()))
        acknowledged: list[Awaitable[Any]] = []
        for topic, messages in by_topic.items():
            acknowledged += await self._send(producer, self._settings.topic(topic), messages)
        await asyncio.gather(*acknowledged)
        for topic, messages in by_topic.items():
            PUBLISHED.labels(self._service, topic).inc(len(messages))

    async def _send(self, producer: AIOKafkaProducer, topic: str, messages: Sequence[Message]) -> list[Awaitable[Any]]:
        if len(messages) < BATCHED_FROM:
            return [await producer.send(topic, value=body, key=key) for key, body in messages]
        partition_count = len(await producer.partitions_for(topic))
        by_partition: dict[int, list[Message]] = {}
        for message in messages:
            by_partition.setdefault(partition_of(message[0], partition_count), []).append(message)
        acknowledged: list[Awaitable[Any]] = []
        for partition, its_messages in by_partition.items():
            batch = producer.create_batch()
            for key, body in its_messages:
                if batch.append(key=key, value=body, timestamp=None) is None:
                    acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
                    batch = producer.create_batch()
                    batch.append(key=key, value=body, timestamp=None)
            batch.close()
            acknowledged.append(await producer.send_batch(batch, topic, partition=partition))
        return acknowledged


@lru_cache(maxsize=HASHED_KEYS_MAX)
def partition_of(key: bytes, partition_count: int) -> int:
    """Where every Kafka client puts a key: what is published one by one and in batches stays in order."""
    return (murmur2(key) & 0x7FFFFFFF) % partition_count
