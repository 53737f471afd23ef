"""The Kafka broker of a service: FastStream consumers with one acknowledgement policy, set here and nowhere else.

NACK_ON_ERROR is the only policy under which a failed batch comes back; its missing pause is the Subscription's back-off.
"""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from libs.contracts import Fact
from libs.contracts.retention import Retention, retention_of
from libs.runtime.consumers import Consumer, ConsumerLog, GroupPlace
from libs.runtime.gaps import GapLog, OffsetWatch
from libs.runtime.kafka_connection import notice_closed_connections
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.settings import RuntimeSettings
from libs.runtime.subscription import Subscription

# FastStream sleeps this long after an empty poll, so it bounds the latency that a hop adds.
POLL_TIMEOUT_MS = 20
GRACEFUL_STOP_S = 20.0
# What a consumer keeps in memory of each partition: two batches of usages. A larger message comes all the same, alone.
FETCH_BYTES_PER_PARTITION = 4 * 1024 * 1024
# Thirty consumers that try ten times a second, aiokafka's own pace, take the processor that a returning Kafka needs.
RETRY_BACKOFF_MS = 500


class _Broker(KafkaBroker):
    async def start(self) -> None:
        """Start all consumers side by side, for each waits for its place in its group.

        One after the other, the first of a group would begin what it must then leave to the second.
        """
        await self.connect()
        outcomes = await asyncio.gather(*(subscriber.start() for subscriber in self.subscribers), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        self.running = True


def new_broker(settings: RuntimeSettings, log: ConsumerLog) -> KafkaBroker:
    """Return a broker that publishes nothing itself (FactPublisher does) and tells `log` its faults."""
    notice_closed_connections()
    return _Broker(
        settings.kafka_bootstrap_servers,
        ack_policy=AckPolicy.NACK_ON_ERROR,
        graceful_timeout=GRACEFUL_STOP_S,
        allow_auto_create_topics=False,
        parser=_parse_without_headers,
        decoder=_records_as_they_are,
        logger=log,
        apply_types=False,
        request_timeout_ms=30_000,
        retry_backoff_ms=RETRY_BACKOFF_MS,
    )


def subscribe(
    broker: KafkaBroker,
    settings: RuntimeSettings,
    subscription: Subscription,
    facts: Sequence[type[Fact]],
    *,
    group: str | None,
    batch_size: int,
    gaps: GapLog,
) -> Consumer:
    """Add a consumer. Without a group it reads, from now on, every partition: for answers that only this process awaits."""
    transient = [settings.topic(fact.topic) for fact in facts if retention_of(fact) is Retention.TRANSIENT]
    watch = OffsetWatch(subscription.name, gaps, lambda: subscriber.consumer, transient)

    def assigned(partitions: Collection[TopicPartition]) -> None:
        subscription.look_again()
        watch.assigned(partitions)

    place = GroupPlace(assigned) if group else None

    async def consume(records: Sequence[ConsumerRecord]) -> None:
        # FastStream cancels what takes longer than its graceful stop: then the batch still ends its calls of the driver.
        await uninterrupted(subscription.consume(records) if place is None else _watched(watch, subscription, records))

    topics = [settings.topic(fact.topic) for fact in facts]
    subscriber = feed(broker, settings, consume, topics, group=group, batch_size=batch_size, listener=place)
    return Consumer(subscription, subscriber, place)


def feed(
    broker: KafkaBroker,
    settings: RuntimeSettings,
    consume: Callable[[Sequence[ConsumerRecord]], Awaitable[None]],
    topics: Iterable[str],
    *,
    group: str | None,
    batch_size: int,
    listener: GroupPlace | None = None,
) -> Any:
    """Add a subscriber of FastStream that feeds `consume` the records of each poll, and return it."""
    subscriber = broker.subscriber(
        *topics,
        group_id=group,
        listener=listener,
        batch=True,
        max_records=batch_size,
        batch_timeout_ms=POLL_TIMEOUT_MS,
        auto_offset_reset="earliest" if group else "latest",
        max_partition_fetch_bytes=FETCH_BYTES_PER_PARTITION,
        session_timeout_ms=settings.kafka_session_timeout_ms,
        heartbeat_interval_ms=settings.kafka_session_timeout_ms // 4,
    )
    subscriber(consume)
    return subscriber


async def _watched(watch: OffsetWatch, subscription: Subscription, records: Sequence[ConsumerRecord]) -> None:
    await watch.check(records)
    await subscription.consume(records)
    watch.handled(records)


async def _records_as_they_are(message: KafkaMessage) -> Sequence[ConsumerRecord]:
    return message.raw_message


async def _parse_without_headers(records: Any, parse: Any) -> Any:
    """FastStream decodes every header as UTF-8 before any handler runs: a bad one must not fail its batch for ever.

    Nobody here reads headers. It parses one record, and then finds all of them where it looks for what to rewind.
    """
    message = await parse((dataclasses.replace(records[0], headers=()),))
    message.raw_message = records
    return message
