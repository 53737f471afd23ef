"""Publishing what the gateway stored, so that a crash or a broker that is away loses nothing.

A document is stored with its facts, the facts are published before the client is answered, and the stored copies are
removed afterwards in bulk. Whatever is left (the process died, Kafka did not answer) is published again from the store,
and so are requests for bills that nobody answered. Handlers repeat answers, so publishing twice is safe.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from pymongo.errors import PyMongoError

from libs.contracts import Fact, all_facts
from libs.runtime.lifetime.uninterrupted import uninterrupted
from services.tmf_gateway.domain.tmf678 import on_demand_fact
from services.tmf_gateway.store import ON_DEMAND_REQUESTS, REMOVABLE, WITH_OUTBOX, GatewayStore

# A client waits no longer than this for the broker; its resource is stored and follows later.
PUBLISH_WAIT_S = 2.0
# Far longer than a healthy send takes, so that only what was left behind is sent again.
LEFT_BEHIND_AFTER = timedelta(seconds=5)
REPUBLISH_EVERY_S = 5.0
REPUBLISH_BATCH = 500

Entry = Mapping[str, Any]

logger = structlog.get_logger(__name__)


class Outbox:
    """Sends stored facts. `unanswered_after` is how long a request for a bill may stay in progress unasked."""

    def __init__(self, store: GatewayStore, publish: Callable[[Sequence[Fact]], Awaitable[None]], unanswered_after: timedelta) -> None:
        self._store = store
        self._publish = publish
        self._unanswered_after = unanswered_after
        self._sent: list[tuple[str, str, int]] = []
        # What could not be sent and was not since, as far as this process knows; the store knows all.
        self._unsent: set[tuple[str, str, int]] = set()
        self._something_sent = asyncio.Event()
        self._facts = {fact.topic: fact for fact in all_facts()}

    def left_behind(self, collection: str, document: Mapping[str, Any]) -> list[Entry]:
        """The entries of a document's outbox that could not be sent: a later revision sends them before its own."""
        return [entry for entry in document["outbox"] if (collection, document["_id"], entry["revision"]) in self._unsent]

    async def send(self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact], left_behind: Sequence[Entry] = ()) -> None:
        """Publish the facts of a document just stored. When the broker does not answer they stay in the outbox."""
        revisions = {document["revision"], *(entry["revision"] for entry in left_behind)}
        sending = {(collection, document["_id"], revision) for revision in revisions}
        try:
            async with asyncio.timeout(PUBLISH_WAIT_S):
                await self._publish([*map(self._fact, left_behind), *facts])
        except (KafkaError, TimeoutError) as error:
            self._unsent |= sending
            logger.warning("not published yet, will retry", collection=collection, id=document["_id"], reason=repr(error))
            return
        self._remember_sent(sending)
        self._something_sent.set()

    async def tidy(self) -> None:
        """For ever: remove from the store what was sent, and send what was left behind."""
        next_republish = 0.0
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if clock() >= next_republish:
                    await uninterrupted(self._republish())
                    next_republish = clock() + REPUBLISH_EVERY_S
                await uninterrupted(self._remove_sent())
            except (KafkaError, PyMongoError) as error:
                logger.warning("outbox not tidied, will retry", reason=repr(error))
                next_republish = clock() + REPUBLISH_EVERY_S
                await asyncio.sleep(REPUBLISH_EVERY_S)
            try:
                async with asyncio.timeout(max(next_republish - clock(), 0)):
                    await self._something_sent.wait()
            except TimeoutError:
                continue

    async def _remove_sent(self) -> None:
        self._something_sent.clear()
        sent, self._sent = self._sent, []
        by_collection = defaultdict(list)
        for collection, id, revision in sent:
            by_collection[collection].append((id, revision))
        for collection, revisions in by_collection.items():
            await self._store.published(collection, revisions, datetime.now(UTC))
            if collection in REMOVABLE:
                await self._store.forget_removed(collection)

    async def _republish(self) -> None:
        for collection in WITH_OUTBOX:
            for document in await self._store.unpublished(collection, datetime.now(UTC) - LEFT_BEHIND_AFTER, REPUBLISH_BATCH):
                await self._publish([self._fact(entry) for entry in document["outbox"]])
                self._remember_sent({(collection, document["_id"], entry["revision"]) for entry in document["outbox"]})
                logger.info("published what was left behind", collection=collection, id=document["_id"])
        for request in await self._store.requests_in_progress(datetime.now(UTC) - self._unanswered_after, REPUBLISH_BATCH):
            await self._publish([on_demand_fact(request)])
            self._sent.append((ON_DEMAND_REQUESTS, request["_id"], request["revision"]))
            logger.info("asked again for a bill", request_id=request["_id"])

    def _remember_sent(self, revisions: set[tuple[str, str, int]]) -> None:
        self._sent += revisions
        self._unsent -= revisions

    def _fact(self, entry: Entry) -> Fact:
        return self._facts[entry["topic"]].from_message(entry["message"])
