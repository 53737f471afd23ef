"""The month replayed: calls published to Kafka as mediation would, keyed by number, and watched until the last is rated."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import DefaultPartitioner
from aiokafka.producer.message_accumulator import BatchBuilder

from libs.contracts import UsageReceived
from libs.demo.mediation import Call
from libs.runtime import RuntimeSettings
from libs.runtime.lag import LagReader, lag_reader

BATCH_BYTES = 262_144
WATCH_POLL_S = 0.1
# Rating commits several batches a second; so long without one means that it stands still.
STANDSTILL_MAX_S = 60.0


class RatingStandsStill(TimeoutError):
    """Calls were waiting and none was rated for a minute; says how many."""


async def replay(
    settings: RuntimeSettings, calls: Sequence[Call], on_published: Callable[[int], None], on_rated: Callable[[int], None]
) -> float:
    """Publish all calls; returns the seconds from the first one published to the last one rated and committed.

    `on_published` and `on_rated` are told how many are so far. Raises RatingStandsStill or KafkaError.
    """
    async with lag_reader(settings) as lag:
        outbox = Outbox(settings, on_published)
        started = time.monotonic()
        publishing = asyncio.create_task(outbox.publish(calls))
        try:
            await _watch_rating(settings, lag, outbox, publishing, len(calls), on_rated)
        finally:
            publishing.cancel()
        return time.monotonic() - started


async def _watch_rating(
    settings: RuntimeSettings,
    lag: LagReader,
    outbox: "Outbox",
    publishing: asyncio.Task[None],
    call_count: int,
    on_rated: Callable[[int], None],
) -> None:
    rated, moved_at = 0, time.monotonic()
    while rated < call_count:
        await asyncio.wait([publishing], timeout=WATCH_POLL_S)
        if publishing.done():
            publishing.result()
        # Read before the lag, which may count calls acknowledged since: never more rated than there are.
        acknowledged = outbox.acknowledged_count
        try:
            lags = await lag.lags()
        except KafkaError as error:
            # A busy Kafka answers later. What lasts is a standstill.
            unknown = f", Kafka tells no lag: {error!r}"
            rated_now = rated
        else:
            unknown = ""
            rated_now = acknowledged - sum(waiting for group, waiting in lags.items() if group.startswith(settings.topic("rating.")))
        if rated_now > rated:
            rated, moved_at = rated_now, time.monotonic()
            on_rated(rated)
        elif time.monotonic() - moved_at > STANDSTILL_MAX_S:
            raise RatingStandsStill(f"{call_count - rated} calls wait and rating stands still{unknown}")
        elif publishing.done():
            await asyncio.sleep(WATCH_POLL_S)


class Outbox:
    """Fills Kafka's record batches itself, one per partition: one trip through the producer per batch instead of one per call.

    The producer lets at most one full batch per partition wait, which bounds memory.
    """

    def __init__(self, settings: RuntimeSettings, on_published: Callable[[int], None]) -> None:
        self.acknowledged_count = 0
        self._settings = settings
        self._topic = settings.topic(UsageReceived.topic)
        self._on_published = on_published

    async def publish(self, calls: Iterable[Call]) -> None:
        """Publish all, in order per number, and return once all are acknowledged. Raises KafkaError."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES
        )
        await producer.start()
        try:
            await asyncio.gather(*[acknowledged async for acknowledged in self._send(producer, calls)])
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, calls: Iterable[Call]):
        partitions = sorted(await producer.partitions_for(self._topic))
        choose_partition = DefaultPartitioner()
        chosen: dict[str, int] = {}
        filling = {partition: producer.create_batch() for partition in partitions}
        for call in calls:
            key, body = call.identifier.encode(), call.to_message()
            partition = chosen.get(call.identifier)
            if partition is None:
                partition = chosen[call.identifier] = choose_partition(key, partitions, partitions)
            if filling[partition].append(timestamp=None, key=key, value=body) is None:
                yield await self._send_batch(producer, filling[partition], partition)
                filling[partition] = producer.create_batch()
                filling[partition].append(timestamp=None, key=key, value=body)
        for partition, batch in filling.items():
            if batch.record_count():
                yield await self._send_batch(producer, batch, partition)

    async def _send_batch(self, producer: AIOKafkaProducer, batch: BatchBuilder, partition: int) -> asyncio.Future:
        count = batch.record_count()
        acknowledged = await producer.send_batch(batch, self._topic, partition=partition)
        acknowledged.add_done_callback(lambda _: self._count(count))
        return acknowledged

    def _count(self, count: int) -> None:
        self.acknowledged_count += count
        self._on_published(self.acknowledged_count)
