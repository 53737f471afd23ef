"""Messages that Kafka deletes before they are read: recorded, told, and closed with a reason."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from prometheus_client import REGISTRY

from libs.audit.findings import Findings
from libs.audit.published import audit_gaps
from libs.audit.reader import open_reader
from libs.contracts import AccountChanged, BillSkipped, ChargesClosed, GapCloseRequested
from libs.contracts.retention import Retention, retention_of
from libs.runtime import RuntimeSettings, Service
from libs.runtime.lag import lag_reader
from libs.runtime.topics import alter_topics, create_topics
from tests.closings import closed
from tests.world import WAIT_S, build_service, read_facts


async def until(is_true: Callable[[], Awaitable[object]]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not await is_true():
        assert time.monotonic() < deadline, "still waiting"
        await asyncio.sleep(0.05)


async def delete_all(settings: RuntimeSettings) -> None:
    """Delete every message of charges.closed, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        topic = settings.topic(ChargesClosed.topic)
        await admin.delete_records({TopicPartition(topic, number): RecordsToDelete(-1) for number in range(ChargesClosed.partitions)})
    finally:
        await admin.close()


async def recorded(service: Service) -> list[dict]:
    return [gap async for gap in service.database["gaps"].find().sort("_id")]


def open_by_metric() -> float | None:
    return REGISTRY.get_sample_value("tarifa_gaps_open", {"service": "invoicing"})


async def test_messages_deleted_while_a_consumer_was_stopped_are_told_until_somebody_closes_the_gap(settings: RuntimeSettings):
    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await service.publish([closed(f"read-{number}") for number in range(20)])
        await lag.settled(WAIT_S)
    other = build_service("ledger", settings)
    await other.publisher.start()
    await other.publish([closed(f"lost-{number}") for number in range(30)])
    await other.publisher.stop()
    await other.client.close()
    await delete_all(settings)

    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await until(lambda: _count_is(service, 30))
        await service.publish([closed("after")])
        await lag.settled(WAIT_S)
        assert "run|after" in {skipped.id for skipped in await read_facts(settings, BillSkipped)}
        gaps = await recorded(service)
        assert sum(gap["message_count"] for gap in gaps) == 30
        assert all(gap["next_offset"] - gap["first_offset"] == gap["message_count"] for gap in gaps)
        assert {gap["handler"] for gap in gaps} == {"issue_bills"}
        assert open_by_metric() == len(gaps), "nobody asked for readiness yet"
        assert "tarifa gaps list" in (await service._warn())["gaps"]
        assert await audited(settings) == len(gaps)

        at = datetime(2026, 4, 1, tzinfo=UTC)
        for gap in gaps:
            close = {"id": f"close-{gap['_id']}", "gap_id": gap["_id"], "service": "invoicing", "closed_by": "ana", "requested_at": at}
            await service.publish([GapCloseRequested(**close, reason="sent again")])
        await lag.settled(WAIT_S)
        assert {(gap["closed_by"], gap["reason"], gap["closed_at"]) for gap in await recorded(service)} == {("ana", "sent again", at)}
        assert open_by_metric() == 0
        assert await service._warn() == {}
        assert await audited(settings) == 0

    async with build_service("invoicing", settings).running() as service, lag_reader(settings) as lag:
        await lag.settled(WAIT_S)
        assert await recorded(service) == [{**gap, "closed_at": at} for gap in await recorded(service)]


async def _count_is(service: Service, count: int) -> bool:
    return sum(gap["message_count"] for gap in await recorded(service)) == count


async def _is_unaltered(settings: RuntimeSettings) -> bool:
    return await alter_topics(settings) == []


async def _are_listed(settings: RuntimeSettings) -> bool:
    return await create_topics(settings) == []


async def audited(settings: RuntimeSettings) -> int:
    findings = Findings()
    async with open_reader(settings) as reader:
        await audit_gaps(reader, findings)
    return sum(findings.counts.values())


async def test_topics_are_altered_to_the_retention_that_is_set(settings: RuntimeSettings):
    # A broker lists a topic some time after it was created.
    await until(lambda: _are_listed(settings))
    assert await alter_topics(settings) == []
    longer = settings.model_copy(update={"topic_usage_retention_days": 60})
    assert await alter_topics(longer) == [settings.topic("usage.received.v1")]
    await until(lambda: _is_unaltered(longer))
    assert retention_of(AccountChanged) is Retention.STATE
