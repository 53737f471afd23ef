"""Reading what was published on a topic between two positions, in slices, in order per key."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.contracts import Fact, MalformedFact
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from libs.runtime.settings import RuntimeSettings

# The messages of a slice are in memory at once.
SLICE = 2_000
FETCH_TIMEOUT_MS = 1_000

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True)
class Published(Generic[F]):
    """A fact as it lies on its topic, and when Kafka got it."""

    fact: F
    at: datetime


@dataclass(frozen=True)
class Deleted:
    """Messages that Kafka deleted before they could be read."""

    topic: str
    partition: int
    count: int


@dataclass(frozen=True)
class HeldTopic:
    """A topic with the offsets between which Kafka holds messages of each partition."""

    starts: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    _consumer: AIOKafkaConsumer

    async def slices(
        self, first: Mapping[TopicPartition, int], until: Mapping[TopicPartition, int]
    ) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield the messages from `first` up to `until`, in order per partition."""
        consumer = self._consumer
        unread = {partition for partition in first if first[partition] < until[partition]}
        consumer.assign(list(unread))
        for partition in unread:
            consumer.seek(partition, first[partition])
        while unread:
            fetched = await consumer.getmany(*unread, timeout_ms=FETCH_TIMEOUT_MS, max_records=SLICE)
            records = [record for partition, found in fetched.items() for record in found if record.offset < until[partition]]
            if records:
                yield records
            unread = {partition for partition in unread if await consumer.position(partition) < until[partition]}


@asynccontextmanager
async def open_topic(settings: RuntimeSettings, fact: type[Fact]) -> AsyncIterator[HeldTopic]:
    """Open the topic of a fact for reading outside of any consumer group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.topic(fact.topic), number) for number in range(fact.partitions)]
        yield HeldTopic(await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions), consumer)
    finally:
        await consumer.stop()


async def committed_offsets(settings: RuntimeSettings, group: str) -> dict[TopicPartition, int]:
    """Return the offsets that a consumer group has committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(settings.topic(group))
    finally:
        await admin.close()
    return {partition: offset.offset for partition, offset in committed.items()}


class PublishedReader:
    """Reads topics from the offsets `since`, by plain topic and partition, up to where they end now.

    A partition that is not named, or that ends before its offset because Kafka is another one, is read from its beginning.
    `deleted` tells what was asked for and is no longer there.
    """

    def __init__(self, settings: RuntimeSettings, since: Mapping[tuple[str, int], int]) -> None:
        self._settings = settings
        self._since = since
        self.deleted: list[Deleted] = []
        self.malformed_count = 0

    def from_the_beginning(self) -> "PublishedReader":
        """Return a reader of everything that is still there."""
        return PublishedReader(self._settings, {})

    async def from_committed(self, group: str) -> "PublishedReader":
        """Return a reader of what a group has not committed yet."""
        committed = await committed_offsets(self._settings, group)
        plain = {at: at.topic.removeprefix(f"{self._settings.namespace}.") for at in committed}
        return PublishedReader(self._settings, {(plain[at], at.partition): offset for at, offset in committed.items()})

    async def read(self, fact: type[F]) -> AsyncIterator[list[Published[F]]]:
        """Yield the facts of a topic."""
        async with open_topic(self._settings, fact) as topic:
            first = {at: self._first(fact, at.partition, start, topic.ends[at]) for at, start in topic.starts.items()}
            async for records in topic.slices(first, topic.ends):
                yield self._decoded(fact, records)

    def _first(self, fact: type[Fact], partition: int, start: int, end: int) -> int:
        wanted = self._since.get((fact.topic, partition), 0)
        if wanted > end:
            return start
        if wanted < start:
            self.deleted.append(Deleted(fact.topic, partition, start - wanted))
        return max(wanted, start)

    def _decoded(self, fact: type[F], records: Sequence[ConsumerRecord]) -> list[Published[F]]:
        found = []
        for record in records:
            try:
                found.append(Published(fact.from_message(record.value or b""), datetime.fromtimestamp(record.timestamp / 1000, UTC)))
            except MalformedFact:
                self.malformed_count += 1
        return found
