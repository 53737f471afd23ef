"""Requests of operatives for parked messages: retry, mend, discard."""

import base64
import binascii
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import bson

from libs.contracts import (
    MessageParked,
    MessageSkipRequested,
    ParkedDiscardRequested,
    ParkedEvent,
    ParkedMendRequested,
    ParkedResolved,
    ParkedRetryRequested,
    ParkedState,
)
from libs.runtime.mongo import to_document
from libs.runtime.parking.draining import Drained, Drainer
from libs.runtime.parking.lot import OPEN, ParkingLot, message_id

# A document of MongoDB has 16 MB. One of them is left to what is added to a message's history later.
MENDED_BYTES_MAX = 15 * 1024 * 1024

# The handler, and who asked.
Asked = tuple[str, str | None]
Request = ParkedRetryRequested | ParkedMendRequested | ParkedDiscardRequested


class ParkedRequests:
    """Answers requests for the messages of one service. A request that comes again gets the answer of how things stand."""

    def __init__(self, service: str, lot: ParkingLot, drainer: Drainer) -> None:
        self._service = service
        self._lot = lot
        self._drainer = drainer

    async def answer(self, requests: Sequence[Request]) -> list[ParkedResolved]:
        """Do what is asked of this service, and tell what each request came to."""
        ours = [request for request in requests if request.service == self._service]
        if not ours:
            return []
        messages = await self._lot.find({request.parked_id for request in ours})
        await self._prepare(ours, messages)
        messages = await self._lot.find(messages)
        drained = await self._drain(ours, messages)
        return [self._resolved(request, messages.get(request.parked_id), drained) for request in ours]

    async def skip(self, request: MessageSkipRequested) -> None:
        """Keep that a message is to be parked unhandled; its subscription looks before its next try."""
        by = request.requested_by
        await self._lot.ask_to_skip(
            {
                "_id": message_id(self._service, request.handler, request.topic_name, request.partition, request.offset),
                "handler": request.handler,
                "topic_name": request.topic_name,
                "partition": request.partition,
                "offset": request.offset,
                "note": f"skipped{f' by {by}' if by else ''}: {request.reason}",
                "asked_at": request.requested_at,
            }
        )

    async def _prepare(self, requests: Sequence[Request], messages: dict[str, MessageParked]) -> None:
        changes: list[tuple[MessageParked, dict[str, Any], ParkedEvent]] = []
        for request in requests:
            message = messages.get(request.parked_id)
            if message is None or message.state.value not in OPEN or refusal(request, message) is not None:
                continue
            if isinstance(request, ParkedMendRequested):
                event = ParkedEvent(at=request.requested_at, action="mended", by=request.requested_by, note=request.reason)
                changes.append((message, {"mended_body": request.body}, event))
            elif isinstance(request, ParkedDiscardRequested):
                event = ParkedEvent(at=request.requested_at, action="discarded", by=request.requested_by, note=request.reason)
                changes.append((message, {"state": ParkedState.DISCARDED.value, "retried_at": datetime.now(UTC)}, event))
        await self._lot.settle(changes)

    async def _drain(self, requests: Sequence[Request], messages: dict[str, MessageParked]) -> Drained:
        singles: defaultdict[Asked, dict[str, MessageParked]] = defaultdict(dict)
        chains: defaultdict[Asked, set[str]] = defaultdict(set)
        for request in requests:
            message = messages.get(request.parked_id)
            if message is None or refusal(request, message) is not None:
                continue
            if message.chain is not None:
                chains[message.handler, request.requested_by].add(message.chain)
            elif message.state.value in OPEN:
                singles[message.handler, request.requested_by][message.id] = message
        drained = Drained()
        for asked in dict.fromkeys((*singles, *chains)):
            handler, by = asked
            outcome = await self._drainer.drain(handler, list(singles[asked].values()), chains[asked], by=by)
            drained.states |= outcome.states
            drained.handled_of |= outcome.handled_of
        return drained

    def _resolved(self, request: Request, message: MessageParked | None, drained: Drained) -> ParkedResolved:
        about = {"id": request.id, "service": self._service, "parked_id": request.parked_id}
        if message is None:
            return ParkedResolved(**about, detail=f"nothing is parked under {request.parked_id}")
        refused = refusal(request, message)
        if refused is not None:
            return ParkedResolved(**about, state=message.state, detail=refused)
        state, detail = drained.states.get(message.id, (message.state, ""))
        followed_count = drained.handled_of.get(message.chain, 0) if message.chain is not None else 0
        if followed_count and state is ParkedState.HANDLED and message.state.value in OPEN:
            followed_count -= 1
        return ParkedResolved(**about, state=state, detail=detail, followed_count=followed_count)


def refusal(request: Request, message: MessageParked) -> str | None:
    """Return why a request cannot be met, so that nothing is done for it; None when it can."""
    if not isinstance(request, ParkedMendRequested):
        return None
    if not is_base64(request.body):
        return "the mended body is not base64"
    size_bytes = len(bson.encode(to_document(message.model_copy(update={"mended_body": request.body}))))
    if size_bytes > MENDED_BYTES_MAX:
        return (
            f"with the mended body beside the one as received it has {size_bytes} bytes, {MENDED_BYTES_MAX} are the most: "
            "publish the mended message on its topic instead, and discard this one"
        )
    return None


def is_base64(text: str) -> bool:
    """Return whether a text is base64."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True
