"""Every message of `usage.received` that Kafka still holds beside what rating decided about it.

Only messages that rating has acknowledged are compared; the others are counted as waiting. Kafka is read in slices.
"""

from collections.abc import Sequence

from aiokafka import ConsumerRecord, TopicPartition

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
from libs.runtime.published import HeldTopic, committed_offsets, open_topic
from libs.runtime.settings import RuntimeSettings

RATING_GROUP = "rating.rate_usages"


async def audit_waiting(settings: RuntimeSettings, reader: Reader, findings: Findings) -> None:
    """Count the messages that rating has not acknowledged."""
    async with open_topic(settings, UsageReceived) as topic:
        for partition, acknowledged in (await _acknowledged(settings, topic)).items():
            findings.checked["partitions of usages"] += 1
            if acknowledged < topic.ends[partition]:
                findings.add(waiting_usages(partition.partition, acknowledged))


async def audit_received(settings: RuntimeSettings, reader: Reader, findings: Findings) -> None:
    """Look for a decision about every message that rating has acknowledged."""
    async with open_topic(settings, UsageReceived) as topic:
        async for records in topic.slices(topic.starts, await _acknowledged(settings, topic)):
            findings.checked["messages of usages"] += len(records)
            await _check(records, reader, findings)


async def _acknowledged(settings: RuntimeSettings, topic: HeldTopic) -> dict[TopicPartition, int]:
    """Return up to which offset rating has read each partition."""
    committed = await committed_offsets(settings, RATING_GROUP)
    return {partition: max(committed.get(partition, 0), start) for partition, start in topic.starts.items()}


async def _check(records: Sequence[ConsumerRecord], reader: Reader, findings: Findings) -> None:
    usages: list[UsageReceived] = []
    malformed: set[str] = set()
    for record in records:
        try:
            usages.append(UsageReceived.from_message(record.value or b""))
        except MalformedFact:
            malformed.add(malformed_id(record.value or b""))
    usages = [usage for usage in usages if reader.includes(usage.id)]
    malformed = set(filter(reader.includes, malformed))
    findings.checked["usage messages"] += len(records)
    ids = list({usage.id for usage in usages})
    stored = {document["_id"]: document async for document in reader.find("rating", "usage", {"_id": {"$in": ids}}, fields=RECEIVED_FIELDS)}
    for undecided in sorted({*(set(ids) - stored.keys()), *(malformed - await _suspended(reader, malformed))}):
        findings.add(undecided_usage(undecided), key=undecided)
    other = [usage for usage in usages if usage.id in stored and not is_stored_as_received(usage, stored[usage.id])]
    for usage in await _not_suspended(reader, other):
        findings.add(altered_usage(usage.id), key=usage.id)


async def _suspended(reader: Reader, suspense_ids: set[str]) -> set[str]:
    if not suspense_ids:
        return set()
    found = reader.find("rating", "suspense", {"_id": {"$in": list(suspense_ids)}}, fields=("_id",))
    return {document["_id"] async for document in found}


async def _not_suspended(reader: Reader, usages: Sequence[UsageReceived]) -> list[UsageReceived]:
    """Return the usages that are not in suspense for an id that another body has."""
    if not usages:
        return []
    query = {"usage_id": {"$in": list({usage.id for usage in usages})}, "reason": RejectionReason.DUPLICATE_ID.value}
    entries: dict[str, list[Document]] = {}
    async for entry in reader.find("rating", "suspense", query, fields=("usage_id", "usage")):
        entries.setdefault(entry["usage_id"], []).append(entry["usage"])
    return [usage for usage in usages if not any(is_stored_as_received(usage, entry) for entry in entries.get(usage.id, ()))]
