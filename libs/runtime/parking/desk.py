"""A service's parking as one: its lot, the handlers of operatives' requests, what runs in the background, and the warnings."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from libs.contracts import Fact, MessageSkipRequested, ParkedDiscardRequested, ParkedMendRequested, ParkedRetryRequested
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.metrics import HANGS_SINCE, RETRIES_IN_A_ROW
from libs.runtime.parking.census import Census
from libs.runtime.parking.draining import Drainer
from libs.runtime.parking.isolation import TRIES_MAX
from libs.runtime.parking.lot import ParkingLot
from libs.runtime.parking.requests import ParkedRequests
from libs.runtime.publisher import FactPublisher
from libs.runtime.subscription import Batch, Handler, Subscription

# Orphans come of crashes between two steps, and are found at once where the process lives on.
ORPHANS_SOUGHT_EVERY_S = 30.0
PAUSE_AFTER_FAULT_S = 2.0
SHOWN_EVERY_S = 1.0
# What `tarifa lag` shows beside Kafka's own figures.
PROGRESS = "handler_progress"

logger = structlog.get_logger(__name__)


class ParkingDesk:
    """All that a service has to do with parked messages."""

    def __init__(self, service: str, store: AsyncDatabase, publisher: FactPublisher) -> None:
        self.lot = ParkingLot(service, store, publisher)
        self._service = service
        self._subscriptions: list[Subscription] = []
        self._drainer = Drainer(store, self.lot, self._subscription)
        self._requests = ParkedRequests(service, self.lot, self._drainer)
        self._census = Census(service, store)
        self._progress = store[PROGRESS]
        self._orphans: dict[str, set[str]] = {}
        self._wake = asyncio.Event()
        self.handlers: Sequence[Handler] = (self.settle_parked, self.skip_messages)
        self.background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (
            self._census.count_for_ever,
            self.drain_orphans,
            self.show_progress,
        )

    def add(self, subscription: Subscription) -> None:
        """Let a subscription's messages be handled again here."""
        self._subscriptions.append(subscription)

    def stop(self) -> None:
        """Let waiting handlers go, without acknowledging what they wait on."""
        for subscription in self._subscriptions:
            subscription.stop()

    def adopt(self, handler: str, chains: set[str]) -> None:
        """Drain chains of which messages wait though none is parked."""
        self._orphans.setdefault(handler, set()).update(chains)
        self._wake.set()

    async def settle_parked(self, batch: Batch[ParkedRetryRequested | ParkedMendRequested | ParkedDiscardRequested]) -> Sequence[Fact]:
        """Do what operatives ask for parked messages of this service."""
        return await self._requests.answer(batch.facts)

    async def skip_messages(self, batch: Batch[MessageSkipRequested]) -> Sequence[Fact]:
        """Have messages parked unhandled. Every handler looks before its next try."""
        for request in batch:
            if request.service == self._service:
                await self._requests.skip(request)
                for subscription in self._subscriptions:
                    subscription.look_again()
        return []

    async def warnings(self) -> dict[str, str]:
        """Return what is parked and which handlers hang."""
        hanging = {subscription.name: told for subscription in self._subscriptions if (told := subscription.progress.warning())}
        return {**hanging, **await self._census.warnings()}

    async def drain_orphans(self) -> None:
        """For ever: drain chains whose parked message is settled, at once when told and else every now and then."""
        while True:
            try:
                await uninterrupted(self._drain_orphans())
            except (PyMongoError, KafkaError, OSError) as error:
                logger.warning("waiting messages not handled, will retry", reason=repr(error))
                await asyncio.sleep(PAUSE_AFTER_FAULT_S)
                continue
            try:
                async with asyncio.timeout(ORPHANS_SOUGHT_EVERY_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _drain_orphans(self) -> None:
        self._wake.clear()
        adopted, self._orphans = self._orphans, {}
        for handler, chain in await self.lot.orphans():
            adopted.setdefault(handler, set()).add(chain)
        for handler, chains in adopted.items():
            await self._drainer.drain(handler, (), chains, by=None, tries_max=TRIES_MAX)

    async def show_progress(self) -> None:
        """For ever: show as metrics which handlers hang, and keep for `tarifa lag` how each gets on."""
        written: dict[str, dict[str, Any]] = {}
        while True:
            for name in {subscription.name for subscription in self._subscriptions}:
                hangs = [one.progress.hang for one in self._subscriptions if one.name == name and one.progress.hang is not None]
                HANGS_SINCE.labels(self._service, name).set(min((hang.since.timestamp() for hang in hangs), default=0))
                RETRIES_IN_A_ROW.labels(self._service, name).set(max((hang.retries for hang in hangs), default=0))
            try:
                await uninterrupted(self._write_progress(written))
            except PyMongoError as error:
                logger.warning("progress of handlers not kept, will retry", reason=repr(error))
            await asyncio.sleep(SHOWN_EVERY_S)

    async def _write_progress(self, written: dict[str, dict[str, Any]]) -> None:
        documents = {
            f"{subscription.name}:{topic}:{partition}": {"handler": subscription.name, "topic_name": topic, "partition": partition, **told}
            for subscription in self._subscriptions
            for (topic, partition), told in subscription.progress.by_partition().items()
        }
        changed = {id: document for id, document in documents.items() if written.get(id) != document}
        if changed:
            await self._progress.bulk_write([UpdateOne({"_id": id}, {"$set": document}, upsert=True) for id, document in changed.items()])
            written |= changed

    def _subscription(self, handler: str) -> Subscription | None:
        return next((subscription for subscription in self._subscriptions if subscription.name == handler), None)
