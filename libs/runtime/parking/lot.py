"""The collection `parked` of one service: what failed, what waits behind it, and what became of both."""

import base64
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import ConsumerRecord
from pymongo import UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import MessageParked, ParkedEvent, ParkedState
from libs.runtime.failures import storable
from libs.runtime.mongo import Index, from_document, to_document
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from libs.runtime.parking.isolation import Settled
from libs.runtime.publisher import FactPublisher

# A skip is asked for a message that its handler hangs on now. Kept for ever, it would park another message of a topic that began anew.
SKIPS_KEPT_S = 7 * 24 * 3600

INDEXES = (
    Index("parked", (("parked_at", -1),), "tarifa parked list: newest first"),
    Index("parked", (("state", 1), ("handler", 1), ("topic_name", 1), ("parked_at", 1)), "census: open messages by handler and topic"),
    Index("parked", (("chain", 1), ("state", 1), ("partition", 1), ("offset", 1)), "chains: open messages of one key in order"),
    Index(
        "parked",
        (("handler", 1), ("topic_name", 1), ("partition", 1), ("offset", 1)),
        "after a rebalance: what is settled already of the messages that come again",
    ),
    Index("skips", (("asked_at", 1),), "forgetting skips of messages that never came", expire_after_s=SKIPS_KEPT_S),
)
OPEN = [ParkedState.PARKED.value, ParkedState.WAITING.value]
_CLOSED = [ParkedState.HANDLED.value, ParkedState.DISCARDED.value]
# A larger body is not repeated in the published fact, whose own limit is 8 MB.
PUBLISHED_BODY_BYTES_MAX = 1024 * 1024
# A document holds 16 MB, and base64 takes four bytes for three. Kafka refuses larger messages unless they came compressed.
STORED_BODY_BYTES_MAX = 10 * 1024 * 1024
HISTORY_LENGTH_MAX = 100

Place = tuple[str, int, int]


@dataclass(frozen=True)
class Seen:
    """Messages that may come again after a rebalance or a restart, as the collections have them."""

    closed: dict[Place, tuple[str | None, str]] = field(default_factory=dict)
    skips: dict[Place, str] = field(default_factory=dict)


class ParkingLot:
    """Keeps messages of all handlers of a service."""

    def __init__(self, service: str, store: AsyncDatabase, publisher: FactPublisher) -> None:
        self._service = service
        self._parked = store["parked"]
        self._skips = store["skips"]
        self._publisher = publisher

    async def adopt_former(self) -> None:
        """Give documents of earlier releases their state."""
        retried = {"$cond": [{"$eq": [{"$ifNull": ["$retried_at", None]}, None]}, ParkedState.PARKED.value, ParkedState.HANDLED.value]}
        await self._parked.update_many({"state": {"$exists": False}}, [{"$set": {"state": retried}}])

    async def has_open(self, handler: str) -> bool:
        """Return whether messages of ordered facts are parked or wait for a handler."""
        query = {"state": {"$in": OPEN}, "handler": handler, "chain": {"$type": "string"}}
        return await self._parked.find_one(query, {"_id": 1}) is not None

    async def blocked(self, chains: Collection[str]) -> set[str]:
        """Return those chains of which a message is parked or waits."""
        return set(await self._parked.distinct("chain", {"chain": {"$in": list(chains)}, "state": {"$in": OPEN}}))

    async def orphaned(self, chains: Collection[str]) -> set[str]:
        """Return those chains of which messages wait though none is parked: the parked one was settled meanwhile."""
        headed = {"chain": {"$in": list(chains)}, "state": ParkedState.PARKED.value}
        return set(chains) - set(await self._parked.distinct("chain", headed))

    async def seen(self, handler: str, firsts: Mapping[tuple[str, int], int]) -> Seen:
        """Return what was settled already from these offsets on, and what is to be skipped."""
        closed: dict[Place, tuple[str | None, str]] = {}
        for (topic, partition), offset in firsts.items():
            query = {"handler": handler, "topic_name": topic, "partition": partition, "offset": {"$gte": offset}, "state": {"$in": _CLOSED}}
            async for document in self._parked.find(query, {"offset": 1, "message_key": 1, "body": 1}):
                closed[topic, partition, document["offset"]] = (document["message_key"], document["body"])
        asked = self._skips.find({"handler": handler})
        skips = {(skip["topic_name"], skip["partition"], skip["offset"]): skip["note"] async for skip in asked}
        return Seen(closed, skips)

    async def ask_to_skip(self, skip: Mapping[str, Any]) -> None:
        """Keep that a message is to be parked unhandled."""
        await self._skips.update_one({"_id": skip["_id"]}, {"$setOnInsert": skip}, upsert=True)

    async def skipped(self, places: Iterable[Place], handler: str) -> None:
        """Forget what was to be skipped and has been parked."""
        for topic, partition, offset in places:
            await self._skips.delete_one({"handler": handler, "topic_name": topic, "partition": partition, "offset": offset})

    async def keep(self, handler: str, settled: Settled, at: datetime) -> None:
        """Keep what failed and what waits, each once per handler and offset, and publish what is parked as it was parked first."""
        parked = [self._message(handler, item.record, item.chain, reason, ParkedState.PARKED, at) for item, reason in settled.failed]
        behind = "waits behind an earlier message of its key"
        waiting = [self._message(handler, item.record, item.chain, behind, ParkedState.WAITING, at) for item in settled.waiting]
        kept = await self._insert([*parked, *waiting])
        await self._publisher.publish([published(message) for message in kept if message.state is ParkedState.PARKED])

    async def _insert(self, messages: Sequence[MessageParked]) -> list[MessageParked]:
        """Insert what is new. Returns each as it was kept first; what was settled before is left as it is, and left out."""
        try:
            with ids_may_be_there():
                await self._parked.insert_many([to_document(message) for message in messages], ordered=False)
            return list(messages)
        except AlreadyThere as known:
            collided = {fault["index"] for fault in known.violations}
        kept = [message for number, message in enumerate(messages) if number not in collided]
        again = [message for number, message in enumerate(messages) if number in collided]
        there = await self.find(message.id for message in again)
        another = []
        for message in again:
            former = there[message.id]
            if (former.body, former.message_key) != (message.body, message.message_key):
                # The topic began anew, so its offsets came a second time; or no consumer brought the message, and its place is no offset.
                another.append(message.model_copy(update={"id": f"{message.id}:{_content_digest(message)}"}))
            elif former.state in (ParkedState.PARKED, ParkedState.WAITING):
                kept.append(former)
        return [*kept, *(await self._insert(another) if another else [])]

    def _message(
        self, handler: str, record: ConsumerRecord, chain: str | None, reason: str, state: ParkedState, at: datetime
    ) -> MessageParked:
        size_bytes = len(record.value or b"")
        if size_bytes > STORED_BODY_BYTES_MAX:
            reason = f"{reason} (only the first {STORED_BODY_BYTES_MAX} of its {size_bytes} bytes are kept)"
        return MessageParked(
            id=message_id(self._service, handler, record.topic, record.partition, record.offset),
            service=self._service,
            handler=handler,
            topic_name=record.topic,
            partition=record.partition,
            offset=record.offset,
            message_key=_stored_key(record),
            body=_stored_body(record),
            reason=storable(reason),
            parked_at=at,
            state=state,
            chain=chain,
            history=(ParkedEvent(at=at, action=state.value, note=storable(reason)),),
        )

    async def find(self, ids: Iterable[str]) -> dict[str, MessageParked]:
        """Return messages by id."""
        return {
            document["_id"]: from_document(MessageParked, document) async for document in self._parked.find({"_id": {"$in": list(ids)}})
        }

    async def of_chains(self, chains: Collection[str], limit: int) -> list[MessageParked]:
        """Return the first open messages of chains, in order."""
        found = self._parked.find({"chain": {"$in": list(chains)}, "state": {"$in": OPEN}}).sort([("partition", 1), ("offset", 1)])
        return [from_document(MessageParked, document) async for document in found.limit(limit)]

    async def orphans(self) -> list[tuple[str, str]]:
        """Return handler and chain of messages that wait though none of their chain is parked."""
        if await self._parked.find_one({"state": ParkedState.WAITING.value}, {"_id": 1}) is None:
            return []
        is_parked = {"$max": {"$eq": ["$state", ParkedState.PARKED.value]}}
        found = await self._parked.aggregate(
            [
                {"$match": {"state": {"$in": OPEN}, "chain": {"$type": "string"}}},
                {"$group": {"_id": {"handler": "$handler", "chain": "$chain"}, "is_parked": is_parked}},
                {"$match": {"is_parked": False}},
            ]
        )
        return [(one["_id"]["handler"], one["_id"]["chain"]) async for one in found]

    async def settle(self, messages: Iterable[tuple[MessageParked, Mapping[str, Any], ParkedEvent]]) -> None:
        """Change messages, and add to the history of each what was done. What was settled meanwhile stays so, unless it was handled."""
        changes = [
            UpdateOne(_still_open(message, changed), {"$set": dict(changed), "$push": {"history": _pushed(event)}})
            for message, changed, event in messages
        ]
        if changes:
            await self._parked.bulk_write(changes, ordered=False)


def message_id(service: str, handler: str, topic: str, partition: int, offset: int) -> str:
    """Return the id under which a message is parked: one for each handler and place in a topic."""
    return f"{service}:{handler}:{topic}:{partition}:{offset}"


def chain_of(handler: str, topic: str, key: bytes | None) -> str | None:
    """Return the name of what a handler keeps in order with a message; None for a message without a key."""
    return None if key is None else f"{handler}:{topic}:{_digest(key)}"


def same_message(record: Any, message_key: str | None, body: str) -> bool:
    """Return whether a record is the one that was kept with this key and body. Offsets come again where a topic began anew."""
    return (_stored_key(record), _stored_body(record)) == (message_key, body)


def published(message: MessageParked) -> MessageParked:
    """Return a message as it is published, with its body unless it is large."""
    return message if len(message.body) <= PUBLISHED_BODY_BYTES_MAX else message.model_copy(update={"body": ""})


def _still_open(message: MessageParked, changed: Mapping[str, Any]) -> dict[str, Any]:
    # That it was handled is true in any case. A failure must not open again what was discarded while it was tried.
    is_handled = changed.get("state") == ParkedState.HANDLED.value
    return {"_id": message.id} if is_handled else {"_id": message.id, "state": {"$in": OPEN}}


def _stored_key(record: Any) -> str | None:
    return base64.b64encode(record.key).decode() if record.key is not None else None


def _stored_body(record: Any) -> str:
    return base64.b64encode((record.value or b"")[:STORED_BODY_BYTES_MAX]).decode()


def _pushed(event: ParkedEvent) -> dict[str, Any]:
    return {"$each": [event.model_dump()], "$slice": -HISTORY_LENGTH_MAX}


def _content_digest(message: MessageParked) -> str:
    return _digest(f"{message.message_key} {message.body}".encode())[:12]


def _digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()[:32]
