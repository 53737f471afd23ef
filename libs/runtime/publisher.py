"""Publishing facts: each to its topic, under its key, acknowledged by the broker before the call returns."""

import asyncio
from collections import Counter
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from libs.contracts import Fact
from libs.runtime.metrics import PUBLISHED
from libs.runtime.settings import RuntimeSettings

# A batch of a thousand rated usages should leave in a few requests, and a single fact at once.
PRODUCER_BATCH_BYTES = 262_144
PRODUCER_LINGER_MS = 1
MESSAGE_BYTES_MAX = 8 * 1024 * 1024
# Futures held at a time: bounds memory when a bill run publishes a cut for every account.
PUBLISH_CHUNK = 5_000


class FactPublisher:
    """One idempotent producer per service."""

    def __init__(self, service: str, settings: RuntimeSettings) -> None:
        self._service = service
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises aiokafka.errors.KafkaConnectionError."""
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
        self._producer = producer

    async def stop(self) -> None:
        """Flush and disconnect."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def publish(self, facts: Iterable[Fact]) -> None:
        """Publish all, in order per key. Raises KafkaError when one is not acknowledged; then all may be sent again."""
        chunk: list[Fact] = []
        for fact in facts:
            chunk.append(fact)
            if len(chunk) >= PUBLISH_CHUNK:
                await self._publish_chunk(chunk)
                chunk = []
        await self._publish_chunk(chunk)

    async def publish_raw(self, topic: str, key: bytes | None, body: bytes) -> None:
        """Publish bytes as they are; `topic` is the full name on the broker."""
        await self._connected().send_and_wait(topic, value=body, key=key)

    def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise RuntimeError("publish before start")
        return self._producer

    async def _publish_chunk(self, facts: list[Fact]) -> None:
        producer = self._connected()
        topics = {fact.topic: self._settings.topic(fact.topic) for fact in facts}
        acknowledged = [await producer.send(topics[fact.topic], value=fact.to_message(), key=fact.key.encode()) for fact in facts]
        await asyncio.gather(*acknowledged)
        for topic, count in Counter(fact.topic for fact in facts).items():
            PUBLISHED.labels(self._service, topic).inc(count)
