"""Reading what was published on a topic between two positions, in slices, in order per key."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.contracts import Fact, MalformedFact
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from libs.runtime.settings import RuntimeSettings

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
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka_bootstrap_servers)
        await admin.start()
        try:
            committed = await admin.list_consumer_group_offsets(self._settings.topic(group))
        finally:
            await admin.close()
        plain = {at: at.topic.removeprefix(f"{self._settings.namespace}.") for at in committed}
        return PublishedReader(self._settings, {(plain[at], at.partition): offset.offset for at, offset in committed.items()})

    async def read(self, fact: type[F]) -> AsyncIterator[list[Published[F]]]:
        """Yield the facts of a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        )
        await consumer.start()
        try:
            partitions = [TopicPartition(self._settings.topic(fact.topic), number) for number in range(fact.partitions)]
            starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
            first = {at: self._first(fact, at.partition, starts[at], ends[at]) for at in partitions}
            async for records in _slices(consumer, first, ends):
                yield self._decoded(fact, records)
        finally:
            await consumer.stop()

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


async def _slices(
    consumer: AIOKafkaConsumer, first: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[ConsumerRecord]]:
    unread = {partition for partition in first if first[partition] < ends[partition]}
    consumer.assign(list(unread))
    for partition in unread:
        consumer.seek(partition, first[partition])
    while unread:
        fetched = await consumer.getmany(*unread, timeout_ms=FETCH_TIMEOUT_MS, max_records=SLICE)
        records = [record for partition, found in fetched.items() for record in found if record.offset < ends[partition]]
        if records:
            yield records
        unread = {partition for partition in unread if await consumer.position(partition) < ends[partition]}
