"""Gaps: messages that Kafka deleted before a handler had read them, kept until an operative closes them with a reason.

A consumer begins where its group committed, and Kafka silently moves it forward when that is no longer there. The watch of each
consumer compares both, when partitions are assigned and with every batch, and records the difference before it goes on.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from libs.contracts import GapCloseRequested
from libs.runtime.metrics import DELETED_UNREAD, GAPS_OPEN
from libs.runtime.mongo import Index

GAPS = "gaps"
RETRY_S = 1.0
INDEXES = (Index(GAPS, (("closed_at", 1), ("found_at", -1)), "gaps that nobody has closed"),)

logger = structlog.get_logger(__name__)


class GapLog:
    """The collection `gaps` of one service."""

    def __init__(self, service: str, store: AsyncDatabase) -> None:
        self._service = service
        self._gaps = store[GAPS]

    async def record(self, handler: str, partition: TopicPartition, first: int, following: int, next_at: datetime | None) -> None:
        """Keep that the offsets from `first` to before `following` were deleted unread; `next_at` is when the next one was published."""
        gap = {
            "service": self._service,
            "handler": handler,
            "topic": partition.topic,
            "partition": partition.partition,
            "first_offset": first,
            "next_offset": following,
            "message_count": following - first,
            "next_published_at": next_at,
            "found_at": datetime.now(UTC),
            "closed_at": None,
        }
        id = f"{self._service}:{handler}:{partition.topic}:{partition.partition}:{first}-{following}"
        kept = await self._gaps.update_one({"_id": id}, {"$setOnInsert": gap}, upsert=True)
        if kept.upserted_id is not None:
            DELETED_UNREAD.labels(self._service, handler, partition.topic).inc(following - first)
            logger.error("messages were deleted by Kafka before they were read", gap=id, message_count=following - first)
        await self.count_open()

    async def close(self, request: GapCloseRequested) -> None:
        """Keep who closed a gap, when and why. The first closing stands."""
        closed = {"closed_at": request.requested_at, "closed_by": request.closed_by, "reason": request.reason, "close_id": request.id}
        await self._gaps.update_one({"_id": request.gap_id, "closed_at": None}, {"$set": closed})
        await self.count_open()

    async def count_open(self) -> int:
        """Count the open gaps, and show the count as a metric."""
        count = await self._gaps.count_documents({"closed_at": None})
        GAPS_OPEN.labels(self._service).set(count)
        return count

    async def warnings(self) -> dict[str, str]:
        """A sentence about the open gaps; empty when there is none."""
        count = await self.count_open()
        if not count:
            return {}
        newest = await self._gaps.find_one({"closed_at": None}, sort=[("found_at", -1)])
        example = f", last {newest['message_count']} of {newest['topic']} for {newest['handler']}" if newest else ""
        told = (
            f"Kafka deleted messages before they were read: {count} gaps{example}; see `tarifa gaps list`, then close each with its reason"
        )
        return {"gaps": told}


class OffsetWatch:
    """Knows which offset each partition of one consumer is to bring next, and records what is missing.

    Nobody misses messages of the `transient` topics, which are kept for a client that has gone when they are deleted.
    """

    def __init__(self, handler: str, log: GapLog, consumer: Callable[[], AIOKafkaConsumer | None], transient: Collection[str] = ()) -> None:
        self._handler = handler
        self._log = log
        self._consumer = consumer
        self._transient = frozenset(transient)
        self._expected: dict[TopicPartition, int] = {}
        self._checking: asyncio.Task[None] | None = None

    def assigned(self, partitions: Collection[TopicPartition]) -> None:
        """Begin to compare what the group committed with what is still there."""
        # Of its own: a check of an earlier assignment that is still at work must not write here. Nothing is cancelled within a driver.
        self._expected = {}
        self._checking = asyncio.create_task(self._check_assigned(frozenset(partitions), self._expected))
        self._checking.add_done_callback(_log_failure)

    async def check(self, records: Sequence[ConsumerRecord]) -> None:
        """Record what is missing before these records. Raises what Kafka or MongoDB raise: then the batch comes again."""
        if self._checking is not None:
            await self._wait_for_check()
        for partition, first in _first_of_each(records).items():
            expected = self._expected.get(partition)
            if expected is None or first.offset <= expected:
                continue
            # Compacted topics have holes of their own; only what lies before the beginning of the log was deleted.
            start = (await self._connected().beginning_offsets([partition]))[partition]
            if start > expected:
                published_at = datetime.fromtimestamp(first.timestamp / 1000, UTC)
                await self._record(partition, expected, min(start, first.offset), published_at)

    def handled(self, records: Iterable[ConsumerRecord]) -> None:
        """These were handled: expect what follows."""
        for record in records:
            self._expected[TopicPartition(record.topic, record.partition)] = record.offset + 1

    async def _wait_for_check(self) -> None:
        checking = self._checking
        assert checking is not None, "partitions were assigned"
        try:
            await asyncio.shield(checking)
        except (KafkaError, PyMongoError):
            self.assigned(self._connected().assignment())
            await asyncio.sleep(RETRY_S)
            raise

    async def _check_assigned(self, partitions: Collection[TopicPartition], expected: dict[TopicPartition, int]) -> None:
        consumer = self._connected()
        starts = await consumer.beginning_offsets(partitions) if partitions else {}
        for partition, start in starts.items():
            committed = await consumer.committed(partition)
            if committed is not None and committed < start:
                await self._record(partition, committed, start, None)
                # Else the next assignment would record it again, and longer when more is deleted.
                await consumer.commit({partition: start})
            expected[partition] = start if committed is None else max(committed, start)

    async def _record(self, partition: TopicPartition, first: int, following: int, next_at: datetime | None) -> None:
        if partition.topic not in self._transient:
            await self._log.record(self._handler, partition, first, following, next_at)

    def _connected(self) -> AIOKafkaConsumer:
        consumer = self._consumer()
        assert consumer is not None, "partitions are assigned to a consumer that was started"
        return consumer


def _first_of_each(records: Iterable[ConsumerRecord]) -> Mapping[TopicPartition, ConsumerRecord]:
    first: dict[TopicPartition, ConsumerRecord] = {}
    for record in records:
        first.setdefault(TopicPartition(record.topic, record.partition), record)
    return first


def _log_failure(checking: asyncio.Task[None]) -> None:
    failure: Any = None if checking.cancelled() else checking.exception()
    if failure is not None:
        logger.warning("offsets not compared yet, will retry with the next batch", reason=repr(failure))
