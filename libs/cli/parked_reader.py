"""Read what all services have parked. The collections are only read: what is to change is published as a fact."""

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.cli.errors import CommandError
from libs.contracts import MessageParked, ParkedState
from libs.devstack.settings import SERVICES
from libs.runtime import RuntimeSettings, from_document
from libs.runtime.mongo import connect, database

OPEN = (ParkedState.PARKED, ParkedState.WAITING)


@dataclass(frozen=True)
class Chosen:
    """Which messages: of which services, handler and topic, and in which states."""

    services: Sequence[str] = SERVICES
    handler: str | None = None
    topic: str | None = None
    states: Sequence[ParkedState] = (ParkedState.PARKED,)

    def query(self) -> dict[str, Any]:
        """Return the query of one service's collection."""
        query: dict[str, Any] = {"state": {"$in": [state.value for state in self.states]}}
        if self.handler is not None:
            query["handler"] = self.handler
        if self.topic is not None:
            query["topic_name"] = self.topic
        return query


@dataclass(frozen=True)
class ParkedGroup:
    """Messages of one handler, topic and kind of reason."""

    service: str
    handler: str
    topic: str
    state: ParkedState
    reason: str
    count: int
    since: datetime
    until: datetime


class ParkedReader:
    """Reads the `parked` collections of all services."""

    def __init__(self, client: Any, settings: RuntimeSettings) -> None:
        self._parked = {service: database(client, settings, service)["parked"] for service in SERVICES}

    async def newest(self, chosen: Chosen, *, skip: int, limit: int) -> list[MessageParked]:
        """Return messages, the latest first. A limit of 0 is none."""
        bound = skip + limit if limit else 0
        found = await asyncio.gather(
            *(
                self._parked[service].find(chosen.query()).sort([("parked_at", -1), ("_id", 1)]).limit(bound).to_list()
                for service in chosen.services
            )
        )
        messages = [from_document(MessageParked, document) for documents in found for document in documents]
        messages.sort(key=lambda message: message.parked_at, reverse=True)
        return messages[skip : bound or None]

    async def count(self, chosen: Chosen) -> int:
        """Return how many there are."""
        counts = await asyncio.gather(*(self._parked[service].count_documents(chosen.query()) for service in chosen.services))
        return sum(counts)

    async def ids(self, chosen: Chosen) -> list[str]:
        """Return the ids of all, the oldest first."""
        found = []
        for service in chosen.services:
            cursor = self._parked[service].find(chosen.query(), {"_id": 1}).sort([("parked_at", 1), ("partition", 1), ("offset", 1)])
            found += [document["_id"] async for document in cursor]
        return found

    async def groups(self, chosen: Chosen) -> list[ParkedGroup]:
        """Return how many there are of each kind, the most frequent first. The kind is the reason up to its first colon."""
        kind = {"$arrayElemAt": [{"$split": [{"$substrCP": ["$reason", 0, 200]}, ":"]}, 0]}
        key = {"handler": "$handler", "topic": "$topic_name", "state": "$state", "reason": kind}
        count = {"count": {"$sum": 1}, "since": {"$min": "$parked_at"}, "until": {"$max": "$parked_at"}}
        groups = []
        for service in chosen.services:
            found = await self._parked[service].aggregate([{"$match": chosen.query()}, {"$group": {"_id": key, **count}}])
            groups += [_group(service, group) async for group in found]
        return sorted(groups, key=lambda group: (-group.count, group.service, group.handler))

    async def find(self, parked_id: str) -> MessageParked:
        """Return one message. Raises CommandError when there is none."""
        service, _, _ = parked_id.partition(":")
        document = await self._parked[service].find_one({"_id": parked_id}) if service in self._parked else None
        if document is None:
            raise CommandError(f"nothing is parked under {parked_id}", "see `tarifa parked list --all`")
        return from_document(MessageParked, document)

    async def exists(self, service: str, parked_id: str) -> bool:
        """Return whether a message is there."""
        return await self._parked[service].find_one({"_id": parked_id}, {"_id": 1}) is not None


@asynccontextmanager
async def parked_reader(settings: RuntimeSettings) -> AsyncIterator[ParkedReader]:
    """A reader with its connection, closed at the end."""
    client = connect(settings)
    try:
        yield ParkedReader(client, settings)
    finally:
        await client.close()


def as_json(message: MessageParked) -> dict[str, Any]:
    """Return a message with its bodies and key as text."""
    told = message.model_dump(mode="json", exclude={"message_key", "body", "mended_body"})
    return {**told, "key": as_text(message.message_key), "body": as_text(message.body), "mended_body": as_text(message.mended_body)}


def as_text(encoded: str | None) -> str | None:
    """Return base64 as text. What is not UTF-8 shows as escapes, so that nothing is hidden."""
    return base64.b64decode(encoded).decode(errors="backslashreplace") if encoded is not None else None


def _group(service: str, group: Mapping[str, Any]) -> ParkedGroup:
    about = group["_id"]
    return ParkedGroup(
        service,
        about["handler"],
        about["topic"],
        ParkedState(about["state"]),
        about["reason"],
        group["count"],
        group["since"],
        group["until"],
    )
