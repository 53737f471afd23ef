"""Draining: by one process at a time, and also where a parked request is retried by the very handler that parked both."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.contracts import MessageParked, ParkedState
from libs.runtime.failures import is_infrastructure
from libs.runtime.parking import draining
from libs.runtime.parking.draining import Drained, Drainer, LeaseLost, ParkedRecord, Redriven
from libs.runtime.parking.isolation import Item, Settled

AT = datetime(2026, 4, 1, tzinfo=UTC)
HANDLER = "settle_parked"
LIMIT_S = 5.0
LEASE_S = 0.05


class Leases:
    """A collection of leases, which go to whoever asks until another process has them."""

    def __init__(self) -> None:
        self.has_another = False

    async def find_one_and_update(self, query: Any, update: Any, **options: Any) -> Any:
        """Give the lease to who asks, as the update names it."""
        asking = update[0]["$set"]["holder"]["$cond"][1]
        return {"holder": "another process" if self.has_another else asking}

    async def delete_one(self, *query: Any) -> None:
        """Let one go."""


class Lot:
    """Forgets what is settled."""

    async def settle(self, changes: Any) -> None:
        """Keep nothing."""


class Requests:
    """A subscription that answers a parked request by draining another message of its own."""

    name = HANDLER
    is_stopping = False

    def __init__(self, wanted: MessageParked) -> None:
        self.drainer = drainer(Leases(), self)
        self.answered = Drained()
        self._wanted = wanted

    async def redrive(self, records: Sequence[ParkedRecord], tries_max: int) -> Settled:
        self.answered = await self.drainer.drain(HANDLER, [self._wanted], (), by="ana")
        return Settled(handled=[Item(record, None) for record in records])


class Slow:
    """A subscription that loses its lease while it handles the first messages."""

    name = HANDLER
    is_stopping = False

    def __init__(self) -> None:
        self.leases = Leases()
        self.handled: list[int] = []

    async def redrive(self, records: Sequence[ParkedRecord], tries_max: int) -> Settled:
        self.handled += [record.offset for record in records]
        self.leases.has_another = True
        await asyncio.sleep(3 * LEASE_S)
        return Settled(handled=[Item(record, None) for record in records])


def drainer(leases: Leases, subscription: Redriven) -> Drainer:
    store: Any = {"parked_leases": leases}
    lot: Any = Lot()
    return Drainer(store, lot, lambda handler: subscription)


def parked(offset: int) -> MessageParked:
    place = {"topic_name": "message.retry_requested.v1", "partition": 0, "offset": offset}
    return MessageParked(id=f"ledger:{offset}", service="ledger", handler=HANDLER, **place, body="e30=", reason="away", parked_at=AT)


async def test_a_parked_request_for_a_parked_request_does_not_wait_for_itself() -> None:
    wanted, request = parked(1), parked(2)
    requests = Requests(wanted)
    async with asyncio.timeout(LIMIT_S):
        drained = await requests.drainer.drain(HANDLER, [request], (), by="ana")
        anew = await requests.drainer.drain(HANDLER, [request], (), by="ana")

    assert drained.states == anew.states == {request.id: (ParkedState.HANDLED, "")}
    ((state, detail),) = requests.answered.states.values()
    assert (state, "ask again" in detail) == (ParkedState.PARKED, True)


@pytest.mark.parametrize("prolonged_every_s", [LEASE_S / 5, 10 * LEASE_S])
async def test_a_drainer_that_lost_its_lease_handles_nothing_more_and_its_request_comes_again(
    prolonged_every_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "LEASE_S", LEASE_S)
    monkeypatch.setattr(draining, "LEASE_PROLONGED_EVERY_S", prolonged_every_s)
    monkeypatch.setattr(draining, "MESSAGES_AT_A_TIME", 1)
    slow = Slow()
    with pytest.raises(LeaseLost) as lost:
        await drainer(slow.leases, slow).drain(HANDLER, [parked(1), parked(2)], (), by="ana")

    assert slow.handled == [1]
    assert is_infrastructure(lost.value)
