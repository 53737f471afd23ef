"""Which deleted messages a consumer records as a gap."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from libs.contracts import BillIssued, ChargesPreviewed
from libs.runtime.gaps import OffsetWatch

FIRST_THERE = 50


class Consumer:
    """A consumer of topics of which all messages before FIRST_THERE were deleted, and of a group that had read up to 10."""

    def __init__(self) -> None:
        self.committed_anew: dict[TopicPartition, int] = {}

    async def beginning_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, FIRST_THERE)

    async def committed(self, partition: TopicPartition) -> int:
        return 10

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed_anew |= offsets


class Log:
    """Remembers what is recorded."""

    def __init__(self) -> None:
        self.gaps: list[tuple[int, int]] = []

    async def record(self, handler: str, partition: TopicPartition, first: int, following: int, next_at: datetime | None) -> None:
        self.gaps.append((first, following))


def record(topic: str, offset: int) -> Any:
    return SimpleNamespace(topic=topic, partition=0, offset=offset, timestamp=0)


@pytest.mark.parametrize(("topic", "is_missed"), [(BillIssued.topic, True), (ChargesPreviewed.topic, False)])
async def test_what_is_kept_for_a_client_that_has_gone_leaves_no_gap(topic: str, is_missed: bool) -> None:
    consumer, assigned, consuming = Consumer(), Log(), Log()
    at_assignment: Any = OffsetWatch("preview_bills", assigned, lambda: consumer, {ChargesPreviewed.topic})  # type: ignore[arg-type]
    at_assignment.assigned([TopicPartition(topic, 0)])
    await at_assignment.check([record(topic, FIRST_THERE)])
    in_a_batch: Any = OffsetWatch("preview_bills", consuming, lambda: consumer, {ChargesPreviewed.topic})  # type: ignore[arg-type]
    in_a_batch.handled([record(topic, 9)])
    await in_a_batch.check([record(topic, FIRST_THERE)])

    assert assigned.gaps == consuming.gaps == ([(10, FIRST_THERE)] if is_missed else [])
    # Else the group would find the same difference at each assignment.
    assert consumer.committed_anew == {TopicPartition(topic, 0): FIRST_THERE}
