"""SIGTERM under load: the batch in hand is finished and its offset committed, so that nothing is done a second time."""

import asyncio
import time

from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.contracts import UsageReceived
from tests.faults.live_stack import LiveStack, identifiers
from tests.faults.load import SLICE_S, call

CUSTOMERS = 6
STOPS = 2
# Kubernetes kills after thirty.
STOP_S_MAX = 20.0


async def acknowledged_usages(live: LiveStack) -> set[str]:
    """The ids of all usages that rating has let go."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=live.settings.kafka_bootstrap_servers,
        group_id=live.settings.topic("rating.rate_usages"),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(live.settings.topic(UsageReceived.topic), number) for number in range(UsageReceived.partitions)]
        consumer.assign(partitions)
        committed = {partition: await consumer.committed(partition) or 0 for partition in partitions}
        await consumer.seek_to_beginning(*partitions)
        ids: set[str] = set()
        unread = {partition for partition in partitions if committed[partition]}
        while unread:
            for partition, records in (await consumer.getmany(timeout_ms=500)).items():
                good = (record for record in records if record.offset < committed[partition] and b'"started_at"' in record.value)
                ids.update(UsageReceived.from_message(record.value).id for record in good)
                if records[-1].offset + 1 >= committed[partition]:
                    unread.discard(partition)
        return ids
    finally:
        await consumer.stop()


async def test_a_service_told_to_stop_under_load_has_committed_whatever_it_did(live: LiveStack) -> None:
    customers = await live.customers(CUSTOMERS, "graceful")
    of_these = {"account_id": {"$in": identifiers(customers)}}
    rating = live.services["rating"]
    over = asyncio.Event()
    load = asyncio.create_task(call(live, customers, over))
    try:
        for _ in range(STOPS):
            while not await live.has_work("rating"):
                await asyncio.sleep(SLICE_S)
            began = time.monotonic()
            await rating.terminate()
            assert time.monotonic() - began < STOP_S_MAX
            made = {usage.id for customer in customers for usage in customer.usages}
            rated = {document["_id"] async for document in live.collection("rating", "usage").find(of_these, {"_id": 1})}
            assert rated == await acknowledged_usages(live) & made
            await rating.start()
    finally:
        over.set()
        await load
    await live.settle()
    made = {usage.id for customer in customers for usage in customer.usages}
    assert await live.collection("rating", "usage").count_documents(of_these) == len(made)
