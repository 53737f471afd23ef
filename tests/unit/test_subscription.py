"""A batch that its infrastructure is too slow for goes on in pieces, and the pieces of the next batch are no larger."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from structlog.testing import capture_logs

from libs.contracts import DeliveryRetryRequested, Fact
from libs.runtime import Batch, subscription
from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S
from libs.runtime.mongo import TransactionGivenUp
from libs.runtime.parking.lot import Seen
from libs.runtime.subscription import BatchFailed, Subscription

TOPIC = "asked"
MESSAGES = 4_000
LIMIT_CODE = 290


class Clock:
    """Time that passes while a handler works, and at no other."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now_s

    perf_counter = monotonic


class Machine:
    """A handler whose transactions take their time, and are ended by MongoDB where that is too long."""

    def __init__(self, clock: Clock) -> None:
        self.handled: list[str] = []
        self.failure_count = 0
        self.largest = 0
        self.fixed_s = 0.0
        self.message_s = 0.0
        self._clock = clock

    async def handle(self, batch: Batch[DeliveryRetryRequested]) -> Sequence[Fact]:
        """Take the time for a batch, or fail by it."""
        taken_s = self.fixed_s + len(batch) * self.message_s
        self._clock.now_s += min(taken_s, LIFETIME_LIMIT_S)
        if taken_s > LIFETIME_LIMIT_S:
            self.failure_count += 1
            raise TransactionGivenUp("a transaction took 12 s", LIMIT_CODE)
        self.handled += [request.id for request in batch]
        self.largest = max(self.largest, len(batch))
        return []


class Publisher:
    """Is told nothing."""

    async def publish(self, facts: Sequence[Fact]) -> None:
        """Publish nothing."""


class Lot:
    """Has nothing."""

    async def seen(self, handler: str, firsts: Any) -> Seen:
        """Return that nothing was settled before."""
        return Seen()

    async def has_open(self, handler: str) -> bool:
        """Return that nothing is parked."""
        return False


def records(first: int) -> list[ConsumerRecord]:
    at = datetime(2026, 4, 1, tzinfo=UTC)
    bodies = [
        DeliveryRetryRequested(id=str(offset), delivery_id="d", requested_at=at).to_message() for offset in range(first, first + MESSAGES)
    ]
    return [ConsumerRecord(TOPIC, 0, offset, 0, 0, b"d", body, None, 0, len(body), ()) for offset, body in enumerate(bodies, start=first)]


async def consume(subscribed: Subscription, batch: Sequence[ConsumerRecord]) -> None:
    """Let a batch come again until it is handled, as the broker does."""
    with capture_logs():
        while True:
            try:
                return await subscribed.consume(batch)
            except BatchFailed:
                continue


@pytest.mark.parametrize(
    ("fixed_s", "message_s", "fits_count"),
    [(0.0, 0.004, 2_000), (9.0, 0.001, 2_000), (11.0, 0.001, 1_000), (0.0, 2.0, 4)],
)
async def test_a_batch_that_a_slow_machine_cannot_store_in_time_goes_on_in_pieces(
    fixed_s: float, message_s: float, fits_count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(subscription, "time", clock)
    monkeypatch.setattr(subscription, "BACKOFF_MAX_S", 0.0)
    machine = Machine(clock)
    fakes: dict[str, Any] = {"publisher": Publisher(), "lot": Lot()}
    subscribed = Subscription(
        "notifications",
        machine.handle,
        topics={TOPIC: DeliveryRetryRequested},
        takes_malformed=False,
        keeps_order=False,
        on_orphans=lambda handler, chains: None,
        **fakes,
    )

    await consume(subscribed, records(0))
    assert (machine.failure_count, machine.largest) == (0, MESSAGES)
    machine.fixed_s, machine.message_s, machine.largest = fixed_s, message_s, 0
    await consume(subscribed, records(MESSAGES))
    # Halved each time, and never tried again at a size that failed.
    assert 0 < machine.failure_count <= math.log2(MESSAGES / fits_count) + 1
    assert fits_count / 2 < machine.largest <= fits_count
    failures_so_far = machine.failure_count
    await consume(subscribed, records(2 * MESSAGES))
    assert machine.failure_count == failures_so_far, "it was forgotten how much can be done in time"
    machine.fixed_s = machine.message_s = 0.0
    for number in range(3, 6):
        await consume(subscribed, records(number * MESSAGES))
    assert (machine.failure_count, machine.largest) == (failures_so_far, MESSAGES)
    assert machine.handled == [str(number) for number in range(6 * MESSAGES)]
