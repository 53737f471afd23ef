"""Parking: a message that can never succeed is kept with its reason, so the offset can move on and nothing is lost."""

import base64
from datetime import datetime

from aiokafka import ConsumerRecord
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import MessageParked, ParkedRetryRequested
from libs.runtime.mongo import Index, from_document, to_document
from libs.runtime.publisher import FactPublisher

INDEXES = (Index("parked", (("parked_at", -1),), "tarifa parked list: newest first"),)


class Unprocessable(Exception):
    """Raised by a handler for a fact that can never succeed as it is; the message is parked with this reason."""


class ParkingLot:
    """The `parked` collection of one service."""

    def __init__(self, service: str, store: AsyncDatabase, publisher: FactPublisher) -> None:
        self._service = service
        self._parked = store["parked"]
        self._publisher = publisher

    async def park(self, handler: str, record: ConsumerRecord, reason: str, at: datetime) -> None:
        """Keep the message, once per handler and offset, and tell it; one that comes again is told as it was the first time."""
        message = MessageParked(
            id=f"{self._service}:{handler}:{record.topic}:{record.partition}:{record.offset}",
            service=self._service,
            handler=handler,
            topic_name=record.topic,
            partition=record.partition,
            offset=record.offset,
            message_key=base64.b64encode(record.key).decode() if record.key is not None else None,
            body=base64.b64encode(record.value or b"").decode(),
            reason=reason[:4000].replace("\x00", "\\x00"),
            parked_at=at,
        )
        document = to_document(message)
        kept = await self._parked.find_one_and_update(
            {"_id": document["_id"]}, {"$setOnInsert": document}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert kept is not None, "an upsert returns what is there afterwards"
        await self._publisher.publish([from_document(MessageParked, {**kept, "retried_at": None})])

    async def retry(self, request: ParkedRetryRequested) -> None:
        """Publish a parked message again on the topic it came from. Handlers repeat answers, so it is safe."""
        document = await self._parked.find_one({"_id": request.parked_id})
        if document is None:
            raise Unprocessable(f"nothing is parked under {request.parked_id}")
        parked = from_document(MessageParked, document)
        key = base64.b64decode(parked.message_key) if parked.message_key is not None else None
        await self._publisher.publish_raw(parked.topic_name, key, base64.b64decode(parked.body))
        await self._parked.update_one({"_id": parked.id}, {"$set": {"retried_at": request.requested_at}})
