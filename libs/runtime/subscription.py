"""A handler's subscription: batches in, facts out, and the offset only after both.

A handler is `async def verb_object(batch: Batch[SomeFact], **what it needs) -> Sequence[Fact]`. Its annotation
subscribes it. What it returns is published, then the offset is committed: no handler can forget either.
Three kinds of error, no fourth: a refusal is a returned fact. What fails by itself is parked, and the rest of its batch goes on.
What the infrastructure causes keeps the offset, backs off and comes again.
"""

import asyncio
import inspect
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import structlog
from aiokafka import ConsumerRecord
from structlog.contextvars import bound_contextvars

from libs.contracts import Fact, MalformedFact
from libs.runtime.failures import reason_of, storable
from libs.runtime.garbage import collect_garbage
from libs.runtime.handler_progress import HandlerProgress
from libs.runtime.lifetime.transaction_limit import LIFETIME_LIMIT_S
from libs.runtime.logs import ids_of
from libs.runtime.metrics import BATCH_SECONDS, CONSUMED, PARKED, RETRIES
from libs.runtime.parking.draining import ParkedRecord
from libs.runtime.parking.isolation import TRIES_MAX, Isolation, Item, Settled
from libs.runtime.parking.lot import ParkingLot, Place, Seen, chain_of, same_message
from libs.runtime.publisher import FactPublisher

BACKOFF_FIRST_S = 0.1
# Well under Kafka's max.poll.interval, so that a struggling consumer keeps its partitions.
BACKOFF_MAX_S = 20.0
# After so many messages whose tries were all in vain, further ones are parked at their first failure: a bad release must not
# make thousands of messages wait for their tries one batch after the other. A success ends it.
VAIN_MAX = 20
# A batch that the infrastructure failed comes again in smaller pieces, until the one message is found that causes it, if one does.
NARROWED_BY = 4
# MongoDB ends a transaction that takes too long. Pieces are half as large after that, and only twice as large again after one that
# left time enough for it: else the batches of a slow machine would fail by their time again and again.
TIME_FOR_TWICE_S = LIFETIME_LIMIT_S / 4
LOGGED_OF_A_BATCH_MAX = 20

F = TypeVar("F", bound=Fact)
logger = structlog.get_logger(__name__)


class BatchFailed(Exception):
    """A batch that keeps its offset and comes again; why was logged, and the back-off is over."""


@dataclass(frozen=True)
class Malformed:
    """A message that is not the fact its topic promises."""

    record: ConsumerRecord
    reason: str


@dataclass(frozen=True)
class Batch(Generic[F]):
    """The facts of one poll, in order per key. `malformed` is only filled for handlers that ask for it."""

    facts: list[F]
    malformed: list[Malformed]
    received_at: datetime

    def __iter__(self) -> Iterator[F]:
        return iter(self.facts)

    def __len__(self) -> int:
        return len(self.facts)


Handler = Callable[[Batch[Any]], Awaitable[Sequence[Fact]]]


def handler_name(handler: Callable[..., Any]) -> str:
    """The name of the function below any `functools.partial`."""
    while isinstance(handler, partial):
        handler = handler.func
    return handler.__name__


def subscribed_facts(handler: Handler) -> tuple[type[Fact], ...]:
    """The fact classes that the annotation of the handler's first parameter names."""
    function: Any = handler
    while isinstance(function, partial):
        function = function.func
    hints = get_type_hints(function)
    parameter = next(iter(inspect.signature(function).parameters))
    (subject,) = get_args(hints.get(parameter)) or (None,)
    classes = get_args(subject) if isinstance(subject, UnionType) else (subject,)
    if not all(isinstance(cls, type) and issubclass(cls, Fact) for cls in classes):
        raise TypeError(f"{function.__qualname__}: annotate `{parameter}` as Batch[SomeFact], that is what subscribes it")
    return classes


class Subscription:
    """One handler with its error policy. Called by the broker with the records of one poll."""

    def __init__(
        self,
        service: str,
        handler: Handler,
        publisher: FactPublisher,
        lot: ParkingLot,
        topics: dict[str, type[Fact]],
        *,
        takes_malformed: bool,
        keeps_order: bool,
        on_orphans: Callable[[str, set[str]], None],
    ) -> None:
        self.name = handler_name(handler)
        self.progress = HandlerProgress()
        self._service = service
        self._labels = (service, self.name)
        self._handler = handler
        self._publisher = publisher
        self._lot = lot
        self._topics = topics
        self._takes_malformed = takes_malformed
        self._keeps_order = keeps_order
        self._on_orphans = on_orphans
        self._failures_in_a_row = 0
        self._vain_in_a_row = 0
        self._piece_size: int | None = None
        self._piece_size_max = math.inf
        # What was handled of a batch that failed, until it succeeds: it need not be handled again.
        self._done: set[Place] = set()
        self._answered: list[Sequence[Item]] = []
        # Partitions of which it was read what was settled before, and what that was. Others may have had them meanwhile.
        self._looked: set[tuple[str, int]] = set()
        self._seen = Seen()
        self._has_open = False
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let a waiting consumer go, without acknowledging what it waits on."""
        self._stopping.set()

    @property
    def is_stopping(self) -> bool:
        """Return whether the service stops."""
        return self._stopping.is_set()

    def look_again(self) -> None:
        """Read from the database what is parked and what is to be skipped before the next batch, as after a rebalance."""
        self._looked.clear()
        self._seen = Seen()

    async def consume(self, records: Sequence[ConsumerRecord]) -> None:
        """Handle the records of one poll. Returning lets the offset go; raising BatchFailed keeps it."""
        started = time.perf_counter()
        self.progress.began(records)
        with bound_contextvars(service=self._service, handler=self.name):
            try:
                await self._handle(records)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                collect_garbage()
                await self._back_off(error)
                raise BatchFailed(self.name) from error
        self._failures_in_a_row = 0
        self._piece_size = None
        self._done.clear()
        self._answered.clear()
        self.progress.succeeded(records)
        CONSUMED.labels(*self._labels).inc(len(records))
        BATCH_SECONDS.labels(*self._labels).observe(time.perf_counter() - started)

    async def redrive(self, records: Sequence[ParkedRecord], tries_max: int) -> Settled:
        """Handle parked messages again, in order per key. Parks nothing. Raises what the infrastructure causes."""
        with bound_contextvars(service=self._service, handler=self.name):
            return await Isolation(self._answer, self._wait, tries_max=tries_max).settle([self._item(record) for record in records])

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        rest = [record for record in records if _place(record) not in self._done] if self._done else records
        while rest:
            size = int(min(self._piece_size or len(rest), self._piece_size_max))
            piece, rest = rest[:size], rest[size:]
            self.progress.tries(piece)
            await self._handle_in_time(piece)
            self._piece_size = None if self._piece_size is None else self._piece_size * NARROWED_BY

    async def _handle_in_time(self, records: Sequence[ConsumerRecord]) -> None:
        began_at = time.monotonic()
        try:
            await self._handle_piece(records)
        except Exception:
            if time.monotonic() - began_at >= LIFETIME_LIMIT_S:
                self._piece_size_max = max(1, len(records) // 2)
            raise
        if time.monotonic() - began_at < TIME_FOR_TWICE_S and 2 * len(records) > self._piece_size_max:
            self._piece_size_max *= 2

    async def _handle_piece(self, records: Sequence[ConsumerRecord]) -> None:
        items = [self._item(record) for record in records]
        blocked = await self._look(items)
        if self._seen.closed:
            items = [item for item in items if not self._is_closed(item)]
        tries_max = 1 if self._vain_in_a_row >= VAIN_MAX else TRIES_MAX
        settled = await Isolation(self._answer_fresh, self._wait, tries_max=tries_max, blocked=blocked).settle(items)
        if settled.handled and not settled.failed:
            self._vain_in_a_row = 0
        self._vain_in_a_row = 0 if settled.recovered else self._vain_in_a_row + settled.retried_in_vain
        if settled.failed or settled.waiting:
            await self._keep(settled)

    async def park(self, refused: Sequence[tuple[ParkedRecord, str]]) -> None:
        """Park messages that no consumer brought, each with its reason; once, however often they are parked."""
        with bound_contextvars(service=self._service, handler=self.name):
            await self._keep(Settled(failed=[(Item(record, None), storable(reason)) for record, reason in refused]))

    def _item(self, record: ConsumerRecord | ParkedRecord) -> Item:
        item = Item(record, None)
        cls = self._topics.get(record.topic)
        if cls is None:
            # A release before this one, or a restored backup, had it parked.
            item.verdict = f"{self.name} handles no fact of topic {record.topic} in this release"
            return item
        if self._keeps_order and cls.ordered:
            item.chain = chain_of(self.name, record.topic, record.key)
        try:
            item.fact = cls.from_message(record.value or b"")
        except MalformedFact as error:
            item.malformed = str(error)
        if item.malformed is not None and not self._takes_malformed:
            item.verdict = item.malformed
        return item

    async def _look(self, items: Sequence[Item]) -> set[str]:
        """Returns the chains of which something is parked. Asks the database only where something may be."""
        partitions = {(item.record.topic, item.record.partition) for item in items}
        if not partitions <= self._looked:
            firsts: dict[tuple[str, int], int] = {}
            for item in items:
                firsts.setdefault((item.record.topic, item.record.partition), item.record.offset)
            seen = await self._lot.seen(self.name, firsts)
            self._seen = Seen({**self._seen.closed, **seen.closed}, seen.skips)
            self._has_open = self._keeps_order and await self._lot.has_open(self.name)
            self._looked.update(firsts)
        for item in items if self._seen.skips else ():
            item.verdict = self._seen.skips.get(_place(item.record), item.verdict)
        chains = {item.chain for item in items if item.chain is not None} if self._has_open else set()
        if not chains:
            return set()
        blocked = await self._lot.blocked(chains)
        if not blocked:
            self._has_open = await self._lot.has_open(self.name)
        return blocked

    def _is_closed(self, item: Item) -> bool:
        settled = self._seen.closed.get(_place(item.record))
        return settled is not None and same_message(item.record, *settled)

    async def _answer_fresh(self, items: Sequence[Item]) -> None:
        await self._answer(items)
        self._answered.append(items)

    async def _answer(self, items: Sequence[Item]) -> None:
        facts = [item.fact for item in items if item.fact is not None]
        malformed = [Malformed(item.record, item.malformed) for item in items if item.malformed is not None]
        with bound_contextvars(**(ids_of(facts[0]) if len(facts) == 1 else {})):
            try:
                outcomes = await self._handler(Batch(facts, malformed, datetime.now(UTC)))
                await self._publisher.publish(outcomes)
            except Exception as error:
                if self._stopping.is_set():
                    # Its connections may be closed already: nothing is to be concluded from it about the message.
                    raise InterruptedError(f"{self.name} is stopping") from error
                raise
            if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
                for outcome in outcomes:
                    logger.debug("published", **{f"outcome_{name}": value for name, value in ids_of(outcome).items()})

    async def _keep(self, settled: Settled) -> None:
        now = datetime.now(UTC)
        await self._lot.keep(self.name, settled, now)
        chains = {item.chain for item, _ in settled.failed if item.chain is not None}
        waiting = {item.chain for item in settled.waiting if item.chain is not None}
        self._has_open = self._has_open or bool(chains)
        PARKED.labels(*self._labels).inc(len(settled.failed))
        for item, reason in settled.failed[:LOGGED_OF_A_BATCH_MAX]:
            logger.warning("message parked", topic=item.record.topic, offset=item.record.offset, reason=reason)
        if len(settled.failed) > LOGGED_OF_A_BATCH_MAX:
            logger.warning("more messages parked", count=len(settled.failed) - LOGGED_OF_A_BATCH_MAX)
        skipped = [_place(item.record) for item, _ in settled.failed if _place(item.record) in self._seen.skips]
        if skipped:
            await self._lot.skipped(skipped, self.name)
        # Settled by an operative between our look and now: nobody else would handle what we let wait.
        if waiting - chains and (orphans := await self._lot.orphaned(waiting - chains)):
            self._on_orphans(self.name, orphans)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        raise InterruptedError(f"{self.name} is stopping")

    async def _back_off(self, error: Exception) -> None:
        delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**self._failures_in_a_row) * random.uniform(0.5, 1.5)
        self._failures_in_a_row = min(self._failures_in_a_row + 1, 16)
        self.progress.failed(reason_of(error))
        self._piece_size = max(1, self.progress.tried_count // NARROWED_BY)
        self._done.update(_place(item.record) for items in self._answered for item in items)
        self._answered.clear()
        self.look_again()
        RETRIES.labels(*self._labels).inc()
        logger.error("batch failed, will retry", delay_s=round(delay_s, 2), exc_info=error)
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return


def _place(record: ConsumerRecord | ParkedRecord) -> Place:
    return record.topic, record.partition, record.offset
