"""A request for a parked message may be parked itself, and then be retried by the very handler that parked both."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from libs.contracts import MessageParked, ParkedState
from libs.runtime.parking.draining import Drained, Drainer, ParkedRecord
from libs.runtime.parking.isolation import Item, Settled

AT = datetime(2026, 4, 1, tzinfo=UTC)
HANDLER = "settle_parked"
LIMIT_S = 5.0


class Leases:
    """Leases that nobody else wants."""

    async def update_one(self, *query: Any, **options: Any) -> None:
        """Take or prolong one."""

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
        store: Any = {"parked_leases": Leases()}
        lot: Any = Lot()
        self.drainer = Drainer(store, lot, lambda handler: self)
        self.answered = Drained()
        self._wanted = wanted

    async def redrive(self, records: Sequence[ParkedRecord], tries_max: int) -> Settled:
        self.answered = await self.drainer.drain(HANDLER, [self._wanted], (), by="ana")
        return Settled(handled=[Item(record, None) for record in records])


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
