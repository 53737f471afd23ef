"""A service: handlers on Kafka, a database of its own and an HTTP door, started and stopped as one.

service = Service("ledger", settings, indexes=store.INDEXES)
service.subscribe(partial(post_bills, store=LedgerStore(service.client, service.database)))
service.run()
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog
import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from pymongo.errors import PyMongoError
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from libs.contracts import Fact, GapCloseRequested
from libs.runtime import gaps
from libs.runtime.adoption import Adopt, adopt_restored
from libs.runtime.broker import new_broker, subscribe
from libs.runtime.consumers import Consumer, ConsumerLog
from libs.runtime.fact_catalog import fact_catalog_routes
from libs.runtime.gaps import GapLog
from libs.runtime.garbage import freeze_garbage
from libs.runtime.health import Report, health_routes
from libs.runtime.http_protocol import BoundedHttpProtocol
from libs.runtime.lifetime.descriptors import needed_descriptors, require_descriptors
from libs.runtime.lifetime.ending import EXIT_STUCK, EndingServer, ProcessEnd
from libs.runtime.lifetime.fault_times import FaultTimes
from libs.runtime.lifetime.mongo_watch import MongoWatch
from libs.runtime.lifetime.shared_question import Shared
from libs.runtime.lifetime.transaction_limit import lifetime_warning
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.logs import configure_logs
from libs.runtime.mongo import Index, connect, database, ensure_indexes
from libs.runtime.parking.desk import ParkingDesk
from libs.runtime.parking.draining import ParkedRecord
from libs.runtime.parking.lot import INDEXES as PARKING_INDEXES
from libs.runtime.publisher import FactPublisher
from libs.runtime.settings import RuntimeSettings
from libs.runtime.subscription import Batch, Handler, Subscription, handler_name, subscribed_facts

DEFAULT_BATCH_SIZE = 500
STARTUP_RETRY_MAX_S = 5.0
PING_TIMEOUT_S = 2.0
WARNINGS_TIMEOUT_S = 2.0
# The argument of a service's process that adopts and ends.
ADOPT = "adopt"
CLOSE_TIMEOUT_S = 5.0

logger = structlog.get_logger(__name__)
Task = Callable[[], Coroutine[Any, Any, None]]


class Service:
    """One of the seven. Publish with `publish`; read and write through `database`; add routes to `http`."""

    def __init__(self, name: str, settings: RuntimeSettings, *, indexes: Sequence[Index] = (), http: FastAPI | None = None) -> None:
        self.name = name
        self.settings = settings
        self.client = connect(settings)
        self.database = database(self.client, settings, name)
        self.publisher = FactPublisher(name, settings)
        self.publish = self.publisher.publish
        self.http = http or FastAPI(title=f"Tarifa {name}", docs_url=None, redoc_url=None, openapi_url=None)
        self._received: list[type[Fact]] = []
        self.http.include_router(health_routes(name, self._down, self._warn))
        self.http.include_router(fact_catalog_routes(name, self._received))
        self._indexes = [*indexes, *PARKING_INDEXES, *gaps.INDEXES]
        self._consumer_log = ConsumerLog()
        self._broker = new_broker(settings, self._consumer_log)
        self._gaps = GapLog(name, self.database)
        self._parking = ParkingDesk(name, self.database, self.publisher)
        self._consumers: list[Consumer] = []
        self._background: list[Task] = []
        self._preparations: list[Task] = []
        self._adoptions: list[Adopt] = []
        self._running: list[asyncio.Task[None]] = []
        self._warnings: list[tuple[str, Shared[dict[str, str]]]] = []
        self._limit_warning: dict[str, str] = {}
        self._mongodb = MongoWatch(self.client, settings.mongodb_url)
        self._fault_times = FaultTimes()
        self._end = ProcessEnd()
        self._started = False
        for handler in self._parking.handlers:
            self.subscribe(handler)
        for task in self._parking.background:
            self.background(task)
        self.prepare(self._parking.lot.adopt_former)
        self.add_warnings(self._parking.warnings)
        self.subscribe(self.close_gaps)
        self.prepare(self._count_gaps)
        self.add_warnings(self._transaction_limit)
        self.add_warnings(self._gaps.warnings)

    def subscribe(
        self,
        handler: Handler,
        *,
        batch_size: int = DEFAULT_BATCH_SIZE,
        consumers: int = 1,
        takes_malformed: bool = False,
        every_instance: bool = False,
    ) -> None:
        """Feed a handler the facts its annotation names, in one consumer group per handler.

        `consumers`: members of that group in this process; while MongoDB works for one, Python works for another.
        `every_instance`: each process sees all facts published from its start on, for answers it awaits.
        `takes_malformed`: the handler deals with undecodable messages itself instead of having them parked.
        """
        assert consumers == 1 or not every_instance, "without a group, each of the consumers would be fed everything"
        facts = subscribed_facts(handler)
        self._received.extend(facts)
        group = None if every_instance else self.settings.topic(f"{self.name}.{handler_name(handler)}")
        for _ in range(consumers):
            subscription = self._subscription(handler, facts, takes_malformed=takes_malformed, keeps_order=group is not None)
            self._consumers.append(
                subscribe(self._broker, self.settings, subscription, facts, group=group, batch_size=batch_size, gaps=self._gaps)
            )

    def parking_for(self, handler: Handler, facts: Iterable[type[Fact]]) -> Callable[[Sequence[tuple[ParkedRecord, str]]], Awaitable[None]]:
        """Return a function that parks messages with their reasons for a handler that no consumer feeds: only retries reach it."""
        return self._subscription(handler, facts, takes_malformed=False, keeps_order=False).park

    def _subscription(self, handler: Handler, facts: Iterable[type[Fact]], *, takes_malformed: bool, keeps_order: bool) -> Subscription:
        subscription = Subscription(
            self.name,
            handler,
            self.publisher,
            self._parking.lot,
            {self.settings.topic(fact.topic): fact for fact in facts},
            takes_malformed=takes_malformed,
            keeps_order=keeps_order,
            on_orphans=self._parking.adopt,
        )
        self._parking.add(subscription)
        return subscription

    def background(self, task: Task) -> None:
        """Run a coroutine function from start to stop; if it fails the service stops being ready."""
        self._background.append(task)

    def add_warnings(self, report: Report) -> None:
        """Let readiness show what `report` returns: a sentence by name for each thing that a person should look at.

        Warnings leave the service ready. It is called at every readiness request, so it answers from memory or by a cheap query.
        """
        self._warnings.append((handler_name(report), Shared(report)))

    def prepare(self, task: Task) -> None:
        """Run a coroutine function once MongoDB and Kafka answer, before the first message is handled. What it raises ends the
        service, unless Kafka or MongoDB did not answer: then it is called again."""
        self._preparations.append(task)

    def adopt(self, step: Adopt) -> None:
        """Call this once after the database was restored from a backup, before the first message is handled."""
        self._adoptions.append(step)

    async def adopt_restored(self) -> None:
        """Take over what was published since the backup, and nothing else; at once done where nothing was restored."""
        try:
            await ensure_indexes(self.database, self._indexes)
            await adopt_restored(self.settings, self.database, self._adoptions)
        finally:
            await self.client.close()

    async def start(self) -> None:
        """Connect (trying until Kafka and MongoDB answer), create indexes, start consuming."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((KafkaError, PyMongoError, OSError)),
            wait=wait_random_exponential(multiplier=0.2, max=STARTUP_RETRY_MAX_S),
            before_sleep=before_sleep_log(logger, 30),
        )
        await retrying(self._connect)
        self._running = [asyncio.create_task(task(), name=f"{self.name}.{handler_name(task)}") for task in self._background]
        for running in self._running:
            running.add_done_callback(_tell_if_failed)
        self._started = True
        logger.info("service started", service=self.name, handlers=[consumer.subscription.name for consumer in self._consumers])

    async def stop(self) -> None:
        """Finish the batches in hand, commit, disconnect."""
        self._started = False
        self._parking.stop()
        for task in self._running:
            # Each ends what it has under way in MongoDB first: nothing cancels the driver.
            task.cancel()
        await asyncio.gather(self._broker.stop(), *self._running, return_exceptions=True)
        await self.publisher.stop()
        # A client whose lock is lost cannot be closed either.
        await asyncio.wait([asyncio.create_task(self.client.close())], timeout=CLOSE_TIMEOUT_S)
        logger.info("service stopped", service=self.name)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        """Start, and stop whatever happens. Does not serve HTTP: `run` does."""
        try:
            await self.start()
            yield self
        finally:
            await self.stop()

    def run(self) -> None:
        """Be the process: serve HTTP at once, so that readiness can tell what is missing, until SIGTERM or SIGINT.

        With the argument `adopt` it only adopts what was published since the backup that its database was restored from.
        """
        configure_logs(self.settings.log_format, self.settings.log_level)
        if sys.argv[1:] == [ADOPT]:
            asyncio.run(self.adopt_restored())
            return
        require_descriptors(self.name, needed_descriptors(len(self._consumers)))
        # uvicorn raises the signal that ended it once more, and by default that would end the process before `stop`.
        signal.signal(signal.SIGTERM, lambda *_: None)
        # What was imported stays: never look through it again.
        freeze_garbage()
        config = uvicorn.Config(
            self.http,
            host=self.settings.http_host,
            port=self.settings.http_port,
            http=BoundedHttpProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
        )
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(self._serve(EndingServer(config)))

    async def _serve(self, server: uvicorn.Server) -> None:
        starting = asyncio.create_task(self.start())
        starting.add_done_callback(lambda started: _end_if_failed(started, server))
        watching = asyncio.create_task(self._mongodb.watch(self._end.ask))
        self._consumer_log.lost = self._end.ask
        try:
            await server.serve()
        finally:
            starting.cancel()
            watching.cancel()
            outcome, _ = await asyncio.gather(starting, watching, return_exceptions=True)
            await self.stop()
        if isinstance(outcome, Exception):
            raise outcome
        if self._end.reason is not None:
            raise SystemExit(EXIT_STUCK)

    async def _connect(self) -> None:
        await uninterrupted(self._prepare_mongodb())
        await self.publisher.start()
        await uninterrupted(adopt_restored(self.settings, self.database, self._adoptions))
        for prepare in self._preparations:
            await uninterrupted(prepare())
        try:
            await self._broker.start()
        except BaseException:
            # Else the next try would start once more those of its consumers that did start.
            await self._broker.stop()
            raise

    async def _prepare_mongodb(self) -> None:
        await self.client.admin.command("ping")
        await ensure_indexes(self.database, self._indexes)
        self._limit_warning = await lifetime_warning(self.client)
        for what, sentence in self._limit_warning.items():
            logger.warning(sentence, what=what)

    async def _transaction_limit(self) -> dict[str, str]:
        return self._limit_warning

    async def _down(self) -> dict[str, str]:
        return self._fault_times.told(await self._faults())

    async def _faults(self) -> dict[str, str]:
        down: dict[str, str] = {}
        if not self._started:
            down["service"] = "starting: waiting for Kafka and MongoDB"
        # Side by side: whoever asks has little patience, and where both are away each of them takes its whole time.
        mongodb, kafka = await asyncio.gather(self._mongodb.fault(), self._kafka_fault())
        down |= {name: fault for name, fault in (("mongodb", mongodb), ("kafka", kafka)) if fault is not None}
        if self._started:
            down |= {consumer.subscription.name: fault for consumer in self._consumers if (fault := consumer.fault()) is not None}
            down |= self._consumer_log.faults()
        for task in self._running:
            if task.done() and not task.cancelled() and task.exception() is not None:
                down[task.get_name()] = f"ended with {task.exception()!r}: see the log, mend the cause, and restart the service"
        return down

    async def _kafka_fault(self) -> str | None:
        if not self._started or await self._broker.ping(timeout=PING_TIMEOUT_S):
            return None
        address = self.settings.kafka_bootstrap_servers
        return f"Kafka at {address} does not answer: start it, or correct KAFKA_BOOTSTRAP_SERVERS"

    async def _warn(self) -> dict[str, str]:
        if not self._started:
            return {}
        # Side by side: where MongoDB is away each of them takes its whole time.
        answers = await asyncio.gather(*(_asked(name, report) for name, report in self._warnings))
        return {name: sentence for answer in answers for name, sentence in answer.items()}

    async def _count_gaps(self) -> None:
        await self._gaps.count_open()

    async def close_gaps(self, requests: Batch[GapCloseRequested]) -> Sequence[Fact]:
        for request in requests:
            if request.service == self.name:
                await self._gaps.close(request)
        return []


async def _asked(name: str, report: Shared[dict[str, str]]) -> dict[str, str]:
    try:
        return await report.answer(WARNINGS_TIMEOUT_S)
    except (PyMongoError, KafkaError, TimeoutError) as error:
        # What is away is a fault of its own; readiness must not wait for it once more.
        return {name: f"is not known now: {type(error).__name__}"}


def _failure(task: asyncio.Task[None]) -> BaseException | None:
    return None if task.cancelled() else task.exception()


def _tell_if_failed(task: asyncio.Task[None]) -> None:
    failure = _failure(task)
    if failure is not None:
        logger.error("background task failed, restart the service", task=task.get_name(), exc_info=failure)


def _end_if_failed(starting: asyncio.Task[None], server: uvicorn.Server) -> None:
    # What `start` does not try again never gets better: the process must end with it, not stay «starting» for ever.
    if _failure(starting) is not None:
        server.should_exit = True
