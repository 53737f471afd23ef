"""Every message of `usage.received` that Kafka still holds beside what rating decided about it.

Only messages that rating has acknowledged are compared; the others are counted as waiting. Kafka is read in slices.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.audit.domain.usages import (
    RECEIVED_FIELDS,
    altered_usage,
    is_stored_as_received,
    malformed_id,
    undecided_usage,
    waiting_usages,
)
from libs.audit.findings import Findings
from libs.audit.reader import Document, Reader
from libs.contracts import MalformedFact, RejectionReason, UsageReceived
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from libs.runtime.settings import RuntimeSettings

RATING_GROUP = "rating.rate_usages"
SLICE = 5_000
FETCH_TIMEOUT_MS = 1_000


async def audit_waiting(settings: RuntimeSettings, reader: Reader, findings: Findings) -> None:
    """Count the messages that rating has not acknowledged."""
    async with _topic(settings) as topic:
        for partition, acknowledged in topic.acknowledged.items():
            findings.checked["partitions of usages"] += 1
            if acknowledged < topic.ends[partition]:
                findings.add(waiting_usages(partition.partition, topic.ends[partition] - acknowledged))


async def audit_received(settings: RuntimeSettings, reader: Reader, findings: Findings) -> None:
    """Look for a decision about every message that rating has acknowledged."""
    async with _topic(settings) as topic:
        async for records in _records(topic.consumer, topic.starts, topic.acknowledged):
            findings.checked["messages of usages"] += len(records)
            await _check(records, reader, findings)


@dataclass(frozen=True)
class _Topic:
    """The topic of usages with what Kafka holds of it and what rating has acknowledged."""

    consumer: AIOKafkaConsumer
    starts: Mapping[TopicPartition, int]
    ends: Mapping[TopicPartition, int]
    acknowledged: Mapping[TopicPartition, int]


@asynccontextmanager
async def _topic(settings: RuntimeSettings) -> AsyncIterator[_Topic]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
    )
    await consumer.start()
    try:
        committed = await _committed(settings)
        partitions = [TopicPartition(settings.topic(UsageReceived.topic), number) for number in range(UsageReceived.partitions)]
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        acknowledged = {partition: max(committed.get(partition, 0), starts[partition]) for partition in partitions}
        yield _Topic(consumer, starts, ends, acknowledged)
    finally:
        await consumer.stop()


async def _check(records: Sequence[ConsumerRecord], reader: Reader, findings: Findings) -> None:
    usages: list[UsageReceived] = []
    malformed: set[str] = set()
    for record in records:
        try:
            usages.append(UsageReceived.from_message(record.value or b""))
        except MalformedFact:
            malformed.add(malformed_id(record.value or b""))
    findings.checked["usage messages"] += len(records)
    ids = list({usage.id for usage in usages})
    stored = {document["_id"]: document async for document in reader.find("rating", "usage", {"_id": {"$in": ids}}, fields=RECEIVED_FIELDS)}
    findings.add(*(undecided_usage(usage_id) for usage_id in sorted(set(ids) - stored.keys())))
    findings.add(*(undecided_usage(suspense_id) for suspense_id in sorted(malformed - await _suspended(reader, malformed))))
    other = [usage for usage in usages if usage.id in stored and not is_stored_as_received(usage, stored[usage.id])]
    findings.add(*(altered_usage(usage.id) for usage in await _not_suspended(reader, other)))


async def _suspended(reader: Reader, suspense_ids: set[str]) -> set[str]:
    if not suspense_ids:
        return set()
    found = reader.find("rating", "suspense", {"_id": {"$in": list(suspense_ids)}}, fields=("_id",))
    return {document["_id"] async for document in found}


async def _not_suspended(reader: Reader, usages: Sequence[UsageReceived]) -> list[UsageReceived]:
    """Those of the usages that are in no suspense, as they are, for having an id that was taken by another body."""
    if not usages:
        return []
    query = {"usage_id": {"$in": list({usage.id for usage in usages})}, "reason": RejectionReason.DUPLICATE_ID.value}
    entries: dict[str, list[Document]] = {}
    async for entry in reader.find("rating", "suspense", query, fields=("usage_id", "usage")):
        entries.setdefault(entry["usage_id"], []).append(entry["usage"])
    return [usage for usage in usages if not any(is_stored_as_received(usage, entry) for entry in entries.get(usage.id, ()))]


async def _records(
    consumer: AIOKafkaConsumer, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncIterator[list[ConsumerRecord]]:
    """The messages from `starts` up to `ends`, in slices."""
    unread = {partition for partition in starts if starts[partition] < ends[partition]}
    consumer.assign(unread)
    for partition in unread:
        consumer.seek(partition, starts[partition])
    while unread:
        fetched = await consumer.getmany(*unread, timeout_ms=FETCH_TIMEOUT_MS, max_records=SLICE)
        yield [record for partition, records in fetched.items() for record in records if record.offset < ends[partition]]
        unread = {partition for partition in unread if await consumer.position(partition) < ends[partition]}


async def _committed(settings: RuntimeSettings) -> dict[TopicPartition, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(settings.topic(RATING_GROUP))
        return {partition: committed.offset for partition, committed in offsets.items()}
    finally:
        await admin.close()
