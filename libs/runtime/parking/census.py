"""How many messages each handler has parked, since when and why, counted every few seconds for metrics and readiness."""

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

import structlog
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError

from libs.contracts import ParkedState
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.metrics import PARKED_NOW, PARKED_SINCE
from libs.runtime.parking.lot import OPEN

COUNTED_EVERY_S = 2.0
# Where counting takes long because millions are parked, it takes at most this share of the time.
COUNTING_SHARE_MAX = 0.05

logger = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Parked:
    """The open messages of one handler from one topic."""

    handler: str
    topic: str
    parked_count: int
    waiting_count: int
    since: datetime
    last_reason: str

    def told(self, service: str) -> str:
        """Return the count in a sentence with what to do."""
        message = "message is" if self.parked_count == 1 else "messages are"
        behind = f", {self.waiting_count} more wait behind" if self.waiting_count else ""
        since = f"{self.since:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"{self.parked_count} {message} parked{behind} since {since}; last reason: {self.last_reason[:200]}; "
            f"see `tarifa parked list --service {service} --handler {self.handler}`"
        )


class Census:
    """Counts what is open; the last count is kept."""

    def __init__(self, service: str, store: AsyncDatabase) -> None:
        self._service = service
        self._parked = store["parked"]
        self._told: set[str] = set()
        self.counted: list[Parked] = []

    async def count_for_ever(self) -> None:
        """Count every few seconds, until cancelled."""
        while True:
            started = time.monotonic()
            try:
                await uninterrupted(self.count())
            except PyMongoError as error:
                logger.warning("parked messages not counted, will retry", reason=repr(error))
            await asyncio.sleep(max(COUNTED_EVERY_S, (time.monotonic() - started) / COUNTING_SHARE_MAX))

    async def count(self) -> None:
        """Count once."""
        if self.counted or await self._parked.find_one({"state": {"$in": OPEN}}, {"_id": 1}) is not None:
            self.counted = await self._counted()
            self._show()

    async def warnings(self) -> dict[str, str]:
        """Return what was counted last, by handler and topic."""
        return {f"parked by {parked.handler} from {parked.topic}": parked.told(self._service) for parked in self.counted}

    async def _counted(self) -> list[Parked]:
        groups = await self._parked.aggregate(
            [
                {"$match": {"state": {"$in": OPEN}}},
                {
                    "$group": {
                        "_id": {"handler": "$handler", "topic": "$topic_name", "state": "$state"},
                        "count": {"$sum": 1},
                        "since": {"$min": "$parked_at"},
                    }
                },
            ]
        )
        counts: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        since: dict[tuple[str, str], datetime] = {}
        async for group in groups:
            about = (group["_id"]["handler"], group["_id"]["topic"])
            counts[about][group["_id"]["state"]] = group["count"]
            since[about] = min(group["since"], since.get(about, group["since"]))
        return [
            Parked(
                handler,
                topic,
                states.get(ParkedState.PARKED.value, 0),
                states.get(ParkedState.WAITING.value, 0),
                since[handler, topic],
                await self._last_reason(handler, topic),
            )
            for (handler, topic), states in sorted(counts.items())
        ]

    async def _last_reason(self, handler: str, topic: str) -> str:
        query = {"state": ParkedState.PARKED.value, "handler": handler, "topic_name": topic}
        last = await self._parked.find_one(query, {"reason": 1}, sort=[("parked_at", -1)])
        return last["reason"] if last is not None else "unknown"

    def _show(self) -> None:
        handlers = {parked.handler for parked in self.counted}
        for handler in handlers | self._told:
            its = [parked for parked in self.counted if parked.handler == handler]
            PARKED_NOW.labels(self._service, handler, ParkedState.PARKED.value).set(sum(parked.parked_count for parked in its))
            PARKED_NOW.labels(self._service, handler, ParkedState.WAITING.value).set(sum(parked.waiting_count for parked in its))
            PARKED_SINCE.labels(self._service, handler).set(min((parked.since.timestamp() for parked in its), default=0))
        self._told = handlers
