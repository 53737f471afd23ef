"""Offsets of consumer groups and topics in Kafka, named without the namespace; groups can be set back to them."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.backup.manifest import GroupPosition, Position
from libs.contracts import all_facts
from libs.runtime.lag import SERVICES, group_connections
from libs.runtime.settings import RuntimeSettings

GROUPS_AT_A_TIME = 8


class KafkaPositions:
    """Reads and sets positions of one namespace."""

    def __init__(self, settings: RuntimeSettings, admin: AIOKafkaAdminClient, reader: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._admin = admin
        self._reader = reader

    async def ends(self) -> list[Position]:
        """Return the end offset of every partition of every topic that exists."""
        return self._positions(await self._reader.end_offsets(await self._partitions()))

    async def starts(self) -> list[Position]:
        """Return the first offset that Kafka still holds of every partition."""
        return self._positions(await self._reader.beginning_offsets(await self._partitions()))

    async def groups(self) -> list[GroupPosition]:
        """Return the committed offsets of every group."""
        found = []
        for group in await self._names():
            committed = await self._admin.list_consumer_group_offsets(group)
            offsets = {partition: offset.offset for partition, offset in committed.items() if offset.offset >= 0}
            found.append(GroupPosition(group=self._plain(group), committed=tuple(self._positions(offsets))))
        return sorted(found, key=lambda position: position.group)

    async def running_groups(self) -> list[str]:
        """Return the groups that have a member now."""
        names = await self._names()
        if not names:
            return []
        described = await self._admin.describe_consumer_groups(names)
        return sorted(self._plain(group) for answer in described for _, group, _, _, _, members, *_ in answer.groups if members)

    async def set_groups(self, groups: Iterable[GroupPosition]) -> None:
        """Commit these positions. No group may have a member."""
        room = asyncio.Semaphore(GROUPS_AT_A_TIME)

        async def commit(group: GroupPosition) -> None:
            async with room:
                await self._commit(group)

        await asyncio.gather(*(commit(group) for group in groups if group.committed))

    async def _commit(self, group: GroupPosition) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            group_id=self._settings.topic(group.group),
            enable_auto_commit=False,
            auto_offset_reset="none",
        )
        await consumer.start()
        try:
            offsets = {TopicPartition(self._settings.topic(at.topic), at.partition): at.offset for at in group.committed}
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        finally:
            await consumer.stop()

    async def _names(self) -> list[str]:
        ours = tuple(self._settings.topic(f"{service}.") for service in SERVICES)
        return [group for group, _ in await self._admin.list_consumer_groups() if group.startswith(ours)]

    async def _partitions(self) -> list[TopicPartition]:
        there = set(await self._admin.list_topics())
        topics = [(self._settings.topic(fact.topic), fact.partitions) for fact in all_facts()]
        return [TopicPartition(topic, number) for topic, count in topics if topic in there for number in range(count)]

    def _positions(self, offsets: Mapping[TopicPartition, int]) -> list[Position]:
        found = [Position(topic=self._plain(at.topic), partition=at.partition, offset=offset) for at, offset in offsets.items()]
        return sorted(found, key=lambda position: (position.topic, position.partition))

    def _plain(self, name: str) -> str:
        return name.removeprefix(f"{self._settings.namespace}.") if self._settings.namespace else name


def by_partition(positions: Sequence[Position]) -> dict[tuple[str, int], int]:
    """Offsets by topic and partition."""
    return {(position.topic, position.partition): position.offset for position in positions}


@asynccontextmanager
async def kafka_positions(settings: RuntimeSettings) -> AsyncIterator[KafkaPositions]:
    """Return positions with their connections, closed at the end."""
    async with group_connections(settings) as (admin, reader):
        yield KafkaPositions(settings, admin, reader)
