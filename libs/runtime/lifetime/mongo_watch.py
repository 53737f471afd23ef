"""Whether MongoDB answers this process, asked with one ping at a time that all who ask share.

A client that gets no answer while a fresh connection does is broken, and only a new process mends it.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pymongo
import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from libs.runtime.lifetime.shared_question import Shared
from libs.runtime.lifetime.uninterrupted import uninterrupted
from libs.runtime.settings import without_password

# A person or a probe waits this long for an answer.
ANSWER_S = 2.0
# The driver itself ends a ping after this time.
PING_LIMIT_S = 5.0
WATCH_EVERY_S = 5.0
# Longer than any restart or election of MongoDB takes.
LOST_AFTER_S = 60.0

logger = structlog.get_logger(__name__)


class MongoWatch:
    """Tells whether the process's own client gets answers, and since when it gets none."""

    def __init__(self, client: AsyncMongoClient, url: str, lost_after_s: float = LOST_AFTER_S) -> None:
        self._client = client
        self._url = url
        self._lost_after_s = lost_after_s
        self._pinged = Shared(self._ping)
        self._silent_since: float | None = None

    async def fault(self) -> str | None:
        """Return why MongoDB cannot be used, or None when it answers within two seconds."""
        try:
            await self._pinged.answer(ANSWER_S)
        except (PyMongoError, TimeoutError) as error:
            if self._silent_since is None:
                self._silent_since = time.monotonic()
            why = type(error).__name__
            return f"MongoDB at {without_password(self._url)} does not answer ({why}): start it, or correct MONGODB_URL"
        self._silent_since = None
        return None

    async def watch(self, lost: Callable[[str], None]) -> None:
        """Call `lost(reason)` once the own client got no answer for a minute although a fresh connection gets one."""
        while True:
            await asyncio.sleep(min(WATCH_EVERY_S, self._lost_after_s))
            await self.fault()
            silent_s = 0.0 if self._silent_since is None else time.monotonic() - self._silent_since
            if silent_s >= self._lost_after_s and await uninterrupted(fresh_connection_answers(self._url)):
                since = datetime.now(UTC) - timedelta(seconds=silent_s)
                lost(f"MongoDB answers a fresh connection, but not this process since {since:%H:%M:%S} UTC ({silent_s:.0f} s)")
                return

    async def _ping(self) -> None:
        with pymongo.timeout(PING_LIMIT_S):
            await self._client.admin.command("ping")


async def fresh_connection_answers(url: str) -> bool:
    """Return whether MongoDB answers a client that was made for this question."""
    limit_ms = int(ANSWER_S * 1000)
    client: AsyncMongoClient = AsyncMongoClient(url, serverSelectionTimeoutMS=limit_ms, connectTimeoutMS=limit_ms)
    try:
        with pymongo.timeout(PING_LIMIT_S):
            await client.admin.command("ping")
    except PyMongoError as error:
        logger.info("MongoDB does not answer a fresh connection either", reason=repr(error))
        return False
    finally:
        await client.close()
    return True
