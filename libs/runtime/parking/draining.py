"""Handle parked messages again, by the handler that parked them and in the order of their chain.

One drainer works for a handler at a time, over all processes: it holds the handler's lease. A crash between any two steps
leaves messages open, and handling one twice repeats its answer.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

import structlog
from aiokafka.errors import KafkaError
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from libs.contracts import MessageParked, ParkedEvent, ParkedState
from libs.runtime.failures import reason_of
from libs.runtime.lease import Leases
from libs.runtime.parking.isolation import Settled
from libs.runtime.parking.lot import ParkingLot

# What `libs.runtime.failures` calls the infrastructure's is one of these.
INFRASTRUCTURE = (OSError, KafkaError, PyMongoError)
# After a kill the next process waits for so long. The holder prolongs it well before.
LEASE_S = 15.0
LEASE_PROLONGED_EVERY_S = 4.0
LEASE_POLL_S = 0.2
# Chains read together, and messages handled together.
CHAINS_AT_A_TIME = 200
MESSAGES_AT_A_TIME = 500
# An error of the infrastructure passes by itself, or it is this message that always causes it.
PAUSES_S = (0.2, 1.0, 3.0)

# The handlers whose leases the present task holds.
_draining: ContextVar[frozenset[str]] = ContextVar("draining", default=frozenset())

logger = structlog.get_logger(__name__)


class ParkedRecord(NamedTuple):
    """A parked message as its handler's subscription reads it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes


class Redriven(Protocol):
    """A subscription: it handles records again, and parks nothing itself."""

    @property
    def name(self) -> str: ...

    @property
    def is_stopping(self) -> bool: ...

    async def redrive(self, records: Sequence[ParkedRecord], tries_max: int) -> Settled: ...


Outcomes = tuple[list[MessageParked], list[tuple[MessageParked, str]], list[MessageParked]]


class LeaseLost(InterruptedError):
    """A drainer hung or MongoDB was away for longer than its lease: another process may drain by now. What is open comes again."""


@dataclass
class Drained:
    """The outcome of a request: by message id the state and the reason, and by chain the count of handled messages."""

    states: dict[str, tuple[ParkedState, str]] = field(default_factory=dict)
    handled_of: dict[str, int] = field(default_factory=dict)


class Drainer:
    """Drains what the handlers of one service have parked."""

    def __init__(self, store: AsyncDatabase, lot: ParkingLot, subscription_of: Callable[[str], Redriven | None]) -> None:
        self._lot = lot
        self._leases = Leases(store["parked_leases"], LEASE_S)
        self._subscription_of = subscription_of
        self._locks: dict[str, asyncio.Lock] = {}

    async def drain(
        self, handler: str, singles: Sequence[MessageParked], chains: Collection[str], *, by: str | None, tries_max: int = 1
    ) -> Drained:
        """Handle single messages, and of chains all that is open until one fails. `by` is the person who asked for it.

        Raises: LeaseLost, before messages would be handled that another process may handle as well.
        """
        drained = Drained()
        subscription = self._subscription_of(handler)
        if subscription is None:
            drained.states = {message.id: (message.state, f"there is no handler {handler} in this release") for message in singles}
            return drained
        if handler in _draining.get():
            # A parked request for a message that its own handler parked: it would wait for its own lease.
            drained.states = {message.id: (message.state, f"{handler} is being retried itself: ask again") for message in singles}
            return drained
        former = _draining.set(_draining.get() | {handler})
        try:
            async with self._lease(handler):
                await self._drain_all(subscription, singles, chains, drained, by, tries_max)
        finally:
            _draining.reset(former)
        return drained

    async def _drain_all(
        self,
        subscription: Redriven,
        singles: Sequence[MessageParked],
        chains: Collection[str],
        drained: Drained,
        by: str | None,
        tries_max: int,
    ) -> None:
        for start in range(0, len(singles), MESSAGES_AT_A_TIME):
            if subscription.is_stopping:
                break
            await self._redrive(subscription, singles[start : start + MESSAGES_AT_A_TIME], drained, by, tries_max)
        ordered = sorted(chains)
        for start in range(0, len(ordered), CHAINS_AT_A_TIME):
            await self._drain_chains(subscription, set(ordered[start : start + CHAINS_AT_A_TIME]), drained, by, tries_max)

    async def _drain_chains(self, subscription: Redriven, chains: set[str], drained: Drained, by: str | None, tries_max: int) -> None:
        # What stays open when the process stops is drained by the next one.
        while chains and not subscription.is_stopping and (messages := await self._lot.of_chains(chains, MESSAGES_AT_A_TIME)):
            stopped = await self._redrive(subscription, messages, drained, by, tries_max)
            chains -= {message.chain for message in stopped if message.chain is not None}

    async def _redrive(
        self, subscription: Redriven, messages: Sequence[MessageParked], drained: Drained, by: str | None, tries_max: int
    ) -> list[MessageParked]:
        """Returns the messages that stay open."""
        handled, failed, waiting = await self._outcomes(subscription, messages, tries_max)
        now = datetime.now(UTC)
        changes: list[tuple[MessageParked, dict[str, Any], ParkedEvent]] = []
        for message in handled:
            drained.states[message.id] = (ParkedState.HANDLED, "")
            if message.chain is not None:
                drained.handled_of[message.chain] = drained.handled_of.get(message.chain, 0) + 1
            changes.append((message, {"state": ParkedState.HANDLED.value, "retried_at": now}, ParkedEvent(at=now, action="handled", by=by)))
        for message, reason in failed:
            drained.states[message.id] = (ParkedState.PARKED, reason)
            changed = {"state": ParkedState.PARKED.value, "reason": reason, "retried_at": now}
            changes.append((message, changed, ParkedEvent(at=now, action="failed again", by=by, note=reason)))
        drained.states |= {message.id: (message.state, "waits behind an earlier message of its key") for message in waiting}
        await self._lot.settle(changes)
        return [*(message for message, _ in failed), *waiting]

    async def _outcomes(self, subscription: Redriven, messages: Sequence[MessageParked], tries_max: int) -> Outcomes:
        records = [_record(message) for message in messages]
        # By identity: what no consumer brought may share its place with others.
        of_record = {id(record): message for record, message in zip(records, messages, strict=True)}
        for pause_s in (*PAUSES_S, None):
            if not self._leases.covers(subscription.name, 0):
                raise LeaseLost(f"the lease on parked messages of {subscription.name} was lost")
            try:
                settled = await subscription.redrive(records, tries_max)
            except INFRASTRUCTURE as error:
                reason = reason_of(error)
            else:
                return (
                    [of_record[id(item.record)] for item in settled.handled],
                    [(of_record[id(item.record)], reason) for item, reason in settled.failed],
                    [of_record[id(item.record)] for item in settled.waiting],
                )
            logger.warning("parked messages not handled", handler=subscription.name, count=len(records), reason=reason)
            if pause_s is not None:
                await asyncio.sleep(pause_s)
        # Where MongoDB is away, storing this outcome fails as well, and the request for it comes again.
        parked = [message for message in messages if message.state is ParkedState.PARKED]
        return [], [(message, reason) for message in parked], [message for message in messages if message.state is not ParkedState.PARKED]

    @asynccontextmanager
    async def _lease(self, handler: str) -> AsyncIterator[None]:
        async with self._locks.setdefault(handler, asyncio.Lock()):
            while not await self._leases.hold(handler):
                await asyncio.sleep(LEASE_POLL_S)
            released = asyncio.Event()
            prolonging = asyncio.create_task(self._prolong(handler, released))
            try:
                yield
            finally:
                released.set()
                await prolonging
                await self._leases.release(handler)

    async def _prolong(self, handler: str, released: asyncio.Event) -> None:
        while not released.is_set():
            try:
                async with asyncio.timeout(LEASE_PROLONGED_EVERY_S):
                    await released.wait()
            except TimeoutError:
                await self._prolong_once(handler)

    async def _prolong_once(self, handler: str) -> None:
        try:
            await self._leases.prolong(handler)
        except PyMongoError as error:
            logger.warning("lease not prolonged, will retry", handler=handler, reason=reason_of(error))


def _record(message: MessageParked) -> ParkedRecord:
    key = base64.b64decode(message.message_key) if message.message_key is not None else None
    return ParkedRecord(message.topic_name, message.partition, message.offset, key, base64.b64decode(message.handled_body))
