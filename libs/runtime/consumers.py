"""What becomes of a service's consumers between the batches: their place in their group, and what Kafka refuses them.

FastStream goes on after whatever happens there and tells only its logger and listeners; these are ours, and readiness reads them.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from aiokafka import ConsumerRebalanceListener, TopicPartition

from libs.runtime.garbage import collect_garbage
from libs.runtime.subscription import BatchFailed, Subscription

# FastStream polls again five seconds after a fault: one that lasts is told twice within this time.
FAULT_FRESH_S = 12.0
# What aiokafka says at each poll once the task has ended that keeps a consumer in its group. Nothing starts that task again.
COORDINATION_ENDED = "Unexpected error during coordination"

logger = structlog.get_logger(__name__)


class GroupPlace(ConsumerRebalanceListener):
    """Whether a consumer has its place in its group, be it without partitions because others have them all.

    `on_assigned` is called with this consumer's partitions whenever the group has been divided.
    """

    def __init__(self, on_assigned: Callable[[Collection[TopicPartition]], None] = lambda partitions: None) -> None:
        self.is_taken = False
        self._on_assigned = on_assigned

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """The group is being divided anew."""
        self.is_taken = False

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """The group has been divided."""
        self._on_assigned(assigned)
        self.is_taken = True
        # What was fetched and decided for partitions that went to others is no longer wanted.
        collect_garbage()


class ConsumerLog:
    """The logger of FastStream. Errors of handlers pass by: their subscription has told them.

    `lost` is called with the reason when a consumer can read nothing more in this process.
    """

    def __init__(self, lost: Callable[[str], None] = lambda reason: None) -> None:
        self.lost = lost
        self._faults: dict[str, tuple[float, str]] = {}

    def log(self, level: int, message: Any, /, *, exc_info: Any = None, extra: Mapping[str, Any] | None = None) -> None:
        """Tell errors: a poll that failed, an offset that was not committed."""
        if level < logging.ERROR or isinstance(exc_info, BatchFailed):
            return
        about = extra or {}
        consumer = about.get("group_id") or about.get("topic")
        logger.warning("consumer fault", consumer=consumer, fault=str(message), reason=repr(exc_info))
        if consumer:
            self._faults[consumer] = (time.monotonic(), repr(exc_info))
        if COORDINATION_ENDED in str(exc_info):
            self.lost(f"a consumer left its group for good: {exc_info}")

    def faults(self) -> dict[str, str]:
        """What polls failed of late, by consumer."""
        fresh_after = time.monotonic() - FAULT_FRESH_S
        return {consumer: reason for consumer, (at, reason) in self._faults.items() if at > fresh_after}


@dataclass(frozen=True)
class Consumer:
    """A subscription with what feeds it: FastStream's subscriber, and its place in its group (None when it has no group)."""

    subscription: Subscription
    subscriber: Any
    place: GroupPlace | None

    def fault(self) -> str | None:
        """Why nothing is consumed now; None when all is well."""
        if all(task.done() for task in self.subscriber.tasks):
            return "stopped consuming; restart the service"
        if self.place is not None and not self.place.is_taken:
            return "waits for its place in the consumer group"
        return None
