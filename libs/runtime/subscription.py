"""A handler's subscription: batches in, facts out, and the offset only after both.

A handler is `async def verb_object(batch: Batch[SomeFact], **what it needs) -> Sequence[Fact]`. Its annotation
subscribes it. What it returns is published, then the offset is committed: no handler can forget either.
Three kinds of error, no fourth: a refusal is a returned fact; `Unprocessable` parks the message; anything else keeps
the offset, backs off and comes again.
"""

import asyncio
import inspect
import logging
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
from libs.runtime.logs import ids_of
from libs.runtime.metrics import BATCH_SECONDS, CONSUMED, HALTED, PARKED, RETRIES
from libs.runtime.parking import ParkingLot, Unprocessable
from libs.runtime.publisher import FactPublisher

BACKOFF_FIRST_S = 0.1
# Well under Kafka's max.poll.interval, so that a struggling consumer keeps its partitions.
BACKOFF_MAX_S = 20.0

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
    """What one poll brought, in order per key. `malformed` is only filled for handlers that ask for it."""

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
        parking: ParkingLot,
        topics: dict[str, type[Fact]],
        *,
        takes_malformed: bool,
        parked_in_a_row_max: int,
    ) -> None:
        self.name = handler_name(handler)
        self.halted_because: str | None = None
        self._service = service
        self._labels = (service, self.name)
        self._handler = handler
        self._publisher = publisher
        self._parking = parking
        self._topics = topics
        self._takes_malformed = takes_malformed
        self._parked_in_a_row_max = parked_in_a_row_max
        self._failures_in_a_row = 0
        self._parked_in_a_row = 0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Let a waiting consumer go, without acknowledging what it waits on."""
        self._stopping.set()

    async def consume(self, records: Sequence[ConsumerRecord]) -> None:
        """Handle the records of one poll. Returning lets the offset go; raising BatchFailed keeps it."""
        started = time.perf_counter()
        with bound_contextvars(service=self._service, handler=self.name):
            try:
                await self._handle(records)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                await self._back_off(error)
                raise BatchFailed(self.name) from error
        self._failures_in_a_row = 0
        CONSUMED.labels(*self._labels).inc(len(records))
        BATCH_SECONDS.labels(*self._labels).observe(time.perf_counter() - started)

    async def _handle(self, records: Sequence[ConsumerRecord]) -> None:
        good, malformed = self._decode(records)
        if not self._takes_malformed:
            for bad in malformed:
                await self._park(bad.record, bad.reason)
            malformed = []
        if not good and not malformed:
            return
        try:
            await self._answer([fact for _, fact in good], malformed)
        except Unprocessable as error:
            if len(good) == 1 and not malformed:
                await self._park(good[0][0], str(error))
                return
            await self._handle_one_by_one(good, malformed)

    async def _handle_one_by_one(self, good: list[tuple[ConsumerRecord, Fact]], malformed: list[Malformed]) -> None:
        if malformed:
            await self._answer([], malformed)
        for record, fact in good:
            try:
                await self._answer([fact], [])
            except Unprocessable as error:
                await self._park(record, str(error))

    async def _answer(self, facts: list[Fact], malformed: list[Malformed]) -> None:
        with bound_contextvars(**(ids_of(facts[0]) if len(facts) == 1 else {})):
            outcomes = await self._handler(Batch(facts, malformed, datetime.now(UTC)))
            await self._publisher.publish(outcomes)
            if logging.getLogger(__name__).isEnabledFor(logging.DEBUG):
                for outcome in outcomes:
                    logger.debug("published", **{f"outcome_{name}": value for name, value in ids_of(outcome).items()})
        self._parked_in_a_row = 0

    def _decode(self, records: Sequence[ConsumerRecord]) -> tuple[list[tuple[ConsumerRecord, Fact]], list[Malformed]]:
        good, malformed = [], []
        for record in records:
            try:
                good.append((record, self._topics[record.topic].from_message(record.value or b"")))
            except MalformedFact as error:
                malformed.append(Malformed(record, str(error)))
        return good, malformed

    async def _park(self, record: ConsumerRecord, reason: str) -> None:
        await self._parking.park(self.name, record, reason, datetime.now(UTC))
        PARKED.labels(*self._labels).inc()
        logger.warning("message parked", topic=record.topic, offset=record.offset, reason=reason)
        self._parked_in_a_row += 1
        # So many in a row: the code is wrong, not the data.
        if self._parked_in_a_row >= self._parked_in_a_row_max:
            await self._halt()

    async def _halt(self) -> None:
        self.halted_because = (
            f"{self.name} stopped: {self._parked_in_a_row} messages in a row could not be processed; "
            "mend the code or the producer, then restart the service"
        )
        HALTED.labels(*self._labels).set(1)
        logger.error("consumer halted", reason=self.halted_because)
        await self._stopping.wait()
        # Cancelled, not failed: the broker then neither acknowledges nor seeks.
        raise asyncio.CancelledError

    async def _back_off(self, error: Exception) -> None:
        delay_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2**self._failures_in_a_row) * random.uniform(0.5, 1.5)
        self._failures_in_a_row = min(self._failures_in_a_row + 1, 16)
        RETRIES.labels(*self._labels).inc()
        logger.error("batch failed, will retry", delay_s=round(delay_s, 2), exc_info=error)
        try:
            async with asyncio.timeout(delay_s):
                await self._stopping.wait()
        except TimeoutError:
            return
