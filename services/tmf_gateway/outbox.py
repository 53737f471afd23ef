"""Publishing what the gateway stored, so that a crash or a broker that is away loses nothing.

A document is stored with its facts, the facts are published before the client is answered, and the stored copies are
removed afterwards in bulk. Whatever is left (the process died, Kafka did not answer) is published again from the store,
and so are requests for bills that nobody answered. Handlers repeat answers, so publishing twice is safe.

What can never be published (a message that is no fact, or one that Kafka finds too large) is parked with its reason, like
a message that a handler cannot process, and everything else goes on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from bson.errors import BSONError
from pymongo.errors import PyMongoError

from libs.contracts import Fact, all_facts
from libs.runtime.failures import is_infrastructure, reason_of
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.parking.draining import ParkedRecord
from services.tmf_gateway.domain.tmf678 import on_demand_fact
from services.tmf_gateway.store import ON_DEMAND_REQUESTS, REMOVABLE, WITH_OUTBOX, GatewayStore

# A client waits no longer than this for the broker; its resource is stored and follows later.
PUBLISH_WAIT_S = 2.0
# Far longer than a healthy send takes, so that only what was left behind is sent again.
LEFT_BEHIND_AFTER = timedelta(seconds=5)
REPUBLISH_EVERY_S = 5.0
REPUBLISH_BATCH = 500
# What the process remembers of what it sent. What it forgets is published again from the store, which knows all.
REMEMBERED_MAX = 10_000

# What servers cause, and what a document can cause that is none of ours.
FAULTS = (KafkaError, PyMongoError, BSONError, OSError, LookupError, TypeError, ValueError, ArithmeticError)

Entry = Mapping[str, Any]

logger = structlog.get_logger(__name__)


class Outbox:
    """Sends stored facts. `topic_name` gives a topic's name on the broker, `unanswered_after` is how long a request for a bill may
    stay in progress unasked."""

    def __init__(
        self,
        store: GatewayStore,
        publish: Callable[[Sequence[Fact]], Awaitable[None]],
        park: Callable[[Sequence[tuple[ParkedRecord, str]]], Awaitable[None]],
        topic_name: Callable[[str], str],
        unanswered_after: timedelta,
    ) -> None:
        self._store = store
        self._publish = publish
        self._park = park
        self._topic_name = topic_name
        self._unanswered_after = unanswered_after
        self._sent: list[tuple[str, str, int]] = []
        # What could not be sent and was not since, as far as this process knows; the store knows all.
        self._unsent: set[tuple[str, str, int]] = set()
        # More could not be sent than the process remembers: then every entry of an outbox may be left behind.
        self._unsent_overflowed = False
        self._something_sent = asyncio.Event()
        self._facts = {fact.topic: fact for fact in all_facts()}

    def left_behind(self, collection: str, document: Mapping[str, Any]) -> list[Entry]:
        """The entries of a document's outbox that could not be sent: a later revision sends them before its own."""
        entries = document["outbox"]
        if self._unsent_overflowed:
            return list(entries)
        return [entry for entry in entries if (collection, document["_id"], entry["revision"]) in self._unsent]

    async def send(self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact], left_behind: Sequence[Entry] = ()) -> None:
        """Publish the facts of a document just stored. When the broker does not take them they stay in the outbox."""
        earlier, unreadable = self._read(left_behind)
        # What cannot be read stays for `tidy`, which parks it.
        revisions = {document["revision"], *(entry["revision"] for entry in left_behind)} - {entry["revision"] for entry, _ in unreadable}
        sending = {(collection, document["_id"], revision) for revision in revisions}
        try:
            async with asyncio.timeout(PUBLISH_WAIT_S):
                await self._publish([*(fact for _, fact in earlier), *facts])
        except (KafkaError, TimeoutError) as error:
            self._remember_unsent(sending)
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
            except FAULTS as error:
                # Whatever it was: a gateway whose outbox is not emptied any more loses what it has promised to tell.
                logger.warning("outbox not tidied, will retry", exc_info=None if is_infrastructure(error) else error, reason=repr(error))
                next_republish = clock() + REPUBLISH_EVERY_S
                await asyncio.sleep(REPUBLISH_EVERY_S)
            try:
                async with asyncio.timeout(max(next_republish - clock(), 0)):
                    await self._something_sent.wait()
            except TimeoutError:
                continue

    async def park_former(self) -> None:
        """Park what earlier releases kept in a collection of its own."""
        async for entry in self._store.formerly_parked():
            await self._park([(self._record(entry["collection"], entry["document_id"], entry), entry["reason"])])
            await self._store.forget_formerly_parked(entry["_id"])

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
        found_count = 0
        for collection in WITH_OUTBOX:
            async for document in self._store.unpublished(collection, datetime.now(UTC) - LEFT_BEHIND_AFTER, REPUBLISH_BATCH):
                await self._publish_left_behind(collection, document)
                found_count += 1
        if not found_count and not await self._is_anything_unpublished():
            self._unsent_overflowed = False
        for request in await self._store.requests_in_progress(datetime.now(UTC) - self._unanswered_after, REPUBLISH_BATCH):
            await self._ask_again(request)

    async def _is_anything_unpublished(self) -> bool:
        """Return whether an outbox has an entry of any age: one too young to be published again must still go before later ones."""
        for collection in WITH_OUTBOX:
            async for _ in self._store.unpublished(collection, datetime.now(UTC), 1):
                return True
        return False

    async def _publish_left_behind(self, collection: str, document: Mapping[str, Any]) -> None:
        """Publish what a document's outbox has, and park what can never be published. Raises what the infrastructure causes."""
        readable, parked = self._read(document["outbox"])
        try:
            await self._publish([fact for _, fact in readable])
        except FAULTS as error:
            if is_infrastructure(error):
                raise
            parked += await self._publish_one_by_one(readable)
        if parked:
            await self._park([(self._record(collection, document["_id"], entry), reason) for entry, reason in parked])
        self._remember_sent({(collection, document["_id"], entry["revision"]) for entry in document["outbox"]})
        logger.info(
            "published what was left behind", collection=collection, id=document["_id"], count=len(document["outbox"]) - len(parked)
        )

    async def _publish_one_by_one(self, readable: Sequence[tuple[Entry, Fact]]) -> list[tuple[Entry, str]]:
        """Publish each fact by itself. Returns those that Kafka will never take, each with the reason."""
        refused = []
        for entry, fact in readable:
            try:
                await self._publish([fact])
            except FAULTS as error:
                if is_infrastructure(error):
                    raise
                refused.append((entry, reason_of(error)))
        return refused

    def _record(self, collection: str, id: str, entry: Entry) -> ParkedRecord:
        """Return an entry as a message: its offset is the revision, and its key names the document that it is of."""
        message = entry["message"] if isinstance(entry["message"], bytes) else b""
        return ParkedRecord(self._topic_name(entry["topic"]), 0, entry["revision"], f"{collection}/{id}".encode(), message)

    async def _ask_again(self, request: Mapping[str, Any]) -> None:
        try:
            await self._publish([on_demand_fact(request)])
            logger.info("asked again for a bill", request_id=request["_id"])
        except FAULTS as error:
            if is_infrastructure(error):
                raise
            logger.error("a request for a bill cannot be asked again", request_id=request["_id"], reason=reason_of(error))
        self._remember_sent({(ON_DEMAND_REQUESTS, request["_id"], request["revision"])})

    def _remember_sent(self, revisions: set[tuple[str, str, int]]) -> None:
        self._sent += revisions
        del self._sent[:-REMEMBERED_MAX]
        self._unsent -= revisions

    def _remember_unsent(self, revisions: set[tuple[str, str, int]]) -> None:
        if len(self._unsent) + len(revisions) > REMEMBERED_MAX:
            self._unsent_overflowed = True
        else:
            self._unsent |= revisions

    def _read(self, entries: Sequence[Entry]) -> tuple[list[tuple[Entry, Fact]], list[tuple[Entry, str]]]:
        """Return the entries that are facts, and those that are none, each with the reason."""
        facts: list[tuple[Entry, Fact]] = []
        unreadable: list[tuple[Entry, str]] = []
        for entry in entries:
            try:
                facts.append((entry, self._facts[entry["topic"]].from_message(entry["message"])))
            except FAULTS as error:
                unreadable.append((entry, reason_of(error)))
        return facts, unreadable
