"""Consumer lag: how far each handler is behind what was published. No lag anywhere means that everything is settled.

Sound as a snapshot because handlers publish before they commit, and committed offsets are read before end offsets:
a message in hand, or one that it caused, always shows as lag.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3

from libs.runtime.settings import RuntimeSettings

# aiokafka 0.14 decodes version 3 answers (every broker since Kafka 2.3) with version 2's layout and drops the connection.
DescribeGroupsRequest_v3.RESPONSE_TYPE = DescribeGroupsResponse_v3

SERVICES = ("rating", "ledger", "invoicing", "on_demand_bill", "operations", "tmf_gateway", "notifications")
SETTLE_POLL_S = 0.05
OLDEST_TIMEOUT_S = 3.0
# States of a group in which Kafka tells all the partitions that its members have. While a group is being divided it tells none.
DIVIDED = {"Stable", "Empty", "Dead"}


class NotSettled(TimeoutError):
    """Messages were still waiting when the time was up; the text names the groups and their lag."""


@dataclass(frozen=True)
class PartitionLag:
    """The position of a group in a partition. `oldest_at` is when the oldest unread message was published, if there is one."""

    group: str
    topic: str
    partition: int
    next_offset: int
    end_offset: int
    oldest_at: datetime | None = None

    @property
    def lag(self) -> int:
        """Messages not yet committed."""
        return max(0, self.end_offset - self.next_offset)


class LagReader:
    """Reads the lag of every consumer group of one namespace."""

    def __init__(self, settings: RuntimeSettings, admin: AIOKafkaAdminClient, offsets: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._admin = admin
        self._offsets = offsets

    async def lags(self) -> dict[str, int]:
        """Messages not yet committed, by consumer group; groups without lag included."""
        groups = await self._groups()
        return dict.fromkeys(groups, 0) | _sums(await self.partitions(groups))

    async def with_age(self, partitions: Sequence[PartitionLag]) -> list[PartitionLag]:
        """Return the same with the time of the oldest unread message, read from Kafka where there is one."""
        told = []
        for partition in partitions:
            oldest_at = await self._published_at(partition) if partition.lag else None
            told.append(replace(partition, oldest_at=oldest_at))
        return told

    async def _published_at(self, partition: PartitionLag) -> datetime | None:
        place = TopicPartition(partition.topic, partition.partition)
        self._offsets.assign([place])
        self._offsets.seek(place, partition.next_offset)
        try:
            async with asyncio.timeout(OLDEST_TIMEOUT_S):
                record = await self._offsets.getone(place)
        except TimeoutError:
            return None
        finally:
            self._offsets.assign([])
        return datetime.fromtimestamp(record.timestamp / 1000, UTC)

    async def _groups(self) -> list[str]:
        return [group for group, _ in await self._admin.list_consumer_groups() if self._is_ours(group)]

    async def partitions(self, groups: list[str] | None = None) -> list[PartitionLag]:
        """Return how far each group is in each of its partitions. A group without offsets begins at the first message."""
        return (await self._read(await self._groups() if groups is None else groups))[0]

    async def _read(self, groups: list[str]) -> tuple[list[PartitionLag], set[str]]:
        """Return how far groups are in each of their partitions, and which groups are being divided: of these some may be missing."""
        if not groups:
            return [], set()
        assigned, in_division = await self._assigned(groups)
        committed = {group: await self._admin.list_consumer_group_offsets(group) for group in groups}
        partitions = {group: assigned[group] | set(committed[group]) for group in groups}
        wanted = list(set().union(*partitions.values()))
        # Else the consumer would learn of one topic at a time, with a pause after each.
        for topic in {partition.topic for partition in wanted}:
            self._offsets._client.add_topic(topic)
        ends = await self._offsets.end_offsets(wanted)
        starts = await self._offsets.beginning_offsets(wanted)
        lags = [
            PartitionLag(
                group,
                partition.topic,
                partition.partition,
                committed[group][partition].offset if partition in committed[group] else starts[partition],
                ends[partition],
            )
            for group in sorted(groups)
            for partition in sorted(partitions[group])
        ]
        return lags, in_division

    async def settled(self, timeout_s: float) -> None:
        """Wait until no group has lag, and none is being divided. Raises NotSettled when that takes longer than `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while behind := await self._behind():
            if time.monotonic() > deadline:
                raise NotSettled(f"after {timeout_s:g} s still waiting: {behind}")
            await asyncio.sleep(SETTLE_POLL_S)

    async def _behind(self) -> dict[str, object]:
        try:
            partitions, in_division = await self._read(await self._groups())
        except KafkaError as error:
            # A busy Kafka answers later.
            return {"Kafka": repr(error)}
        behind: dict[str, object] = {group: lag for group, lag in _sums(partitions).items() if lag}
        return behind | dict.fromkeys(in_division, "being divided")

    def _is_ours(self, group: str) -> bool:
        return any(group.startswith(self._settings.topic(f"{service}.")) for service in SERVICES)

    async def _assigned(self, groups: list[str]) -> tuple[dict[str, set[TopicPartition]], set[str]]:
        assigned: dict[str, set[TopicPartition]] = {group: set() for group in groups}
        in_division = set()
        for response in await self._admin.describe_consumer_groups(groups):
            for error_code, group, state, _, _, members, *_ in response.groups:
                if error_code or state not in DIVIDED:
                    in_division.add(group)
                for _, _, _, _, assignment, *_ in members:
                    if assignment:
                        for topic, partitions in ConsumerProtocolMemberAssignment.decode(assignment).assignment:
                            assigned[group].update(TopicPartition(topic, partition) for partition in partitions)
        return assigned, in_division


def _sums(partitions: Sequence[PartitionLag]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for partition in partitions:
        sums[partition.group] += partition.lag
    return sums


@asynccontextmanager
async def group_connections(settings: RuntimeSettings) -> AsyncIterator[tuple[AIOKafkaAdminClient, AIOKafkaConsumer]]:
    """Connect what reads the offsets of groups and of partitions, and close both at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    offsets = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    try:
        await admin.start()
        await offsets.start()
        yield admin, offsets
    finally:
        await offsets.stop()
        await admin.close()


@asynccontextmanager
async def lag_reader(settings: RuntimeSettings) -> AsyncIterator[LagReader]:
    """Return a reader with its connections, closed at the end."""
    async with group_connections(settings) as (admin, offsets):
        yield LagReader(settings, admin, offsets)


async def settled(settings: RuntimeSettings, timeout_s: float = 60.0) -> None:
    """Wait until every handler of the namespace has handled everything. Raises NotSettled."""
    async with lag_reader(settings) as reader:
        await reader.settled(timeout_s)
