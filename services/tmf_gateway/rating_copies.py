"""Waiting until rating knows a product: a client that was told 201 may then send usage of it.

Rating's copies are read, never written. All requests that wait at a time share one query every few milliseconds. The wait is bounded and
nothing depends on it: usage that is quicker is rated once its product arrives.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import database

WAIT_S_MAX = 0.04
POLL_EVERY_S = 0.004
# Where rating did not keep up or does not run, clients are not made to wait for a while.
PAUSE_S = 1.0

logger = structlog.get_logger(__name__)


class RatingCopies:
    """Rating's copies of products and accounts."""

    def __init__(self, client: AsyncMongoClient, settings: RuntimeSettings) -> None:
        rating = database(client, settings, "rating")
        self._products = rating["products"]
        self._accounts = rating["accounts"]
        self._awaited: dict[tuple[str, int], tuple[str, asyncio.Future[None]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._paused_until = 0.0

    async def wait_for(self, product: Mapping[str, Any]) -> None:
        """Return once rating knows this revision of a product and its account, and after `WAIT_S_MAX` in any case."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._paused_until:
            return
        key = (product["_id"], product["revision"])
        known: asyncio.Future[None] = loop.create_future()
        self._awaited[key] = (product["account_id"], known)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="rating copies")
        done, _ = await asyncio.wait([known], timeout=WAIT_S_MAX)
        self._awaited.pop(key, None)
        if not done:
            self._paused_until = loop.time() + PAUSE_S

    async def _look(self) -> None:
        """Look for all that is awaited, until nothing is."""
        while self._awaited:
            await asyncio.sleep(POLL_EVERY_S)
            try:
                await self._find(dict(self._awaited))
            except PyMongoError as error:
                logger.warning("rating's copies cannot be read", reason=repr(error))
                return

    async def _find(self, awaited: Mapping[tuple[str, int], tuple[str, asyncio.Future[None]]]) -> None:
        products = self._products.find({"_id": {"$in": [id for id, _ in awaited]}}, {"revision": 1})
        revisions = {document["_id"]: document["revision"] async for document in products}
        found = {key: place for key, place in awaited.items() if revisions.get(key[0], 0) >= key[1]}
        if not found:
            return
        accounts = self._accounts.find({"_id": {"$in": [account_id for account_id, _ in found.values()]}}, {"_id": 1})
        accounts_known = {document["_id"] async for document in accounts}
        for account_id, known in found.values():
            if account_id in accounts_known and not known.done():
                known.set_result(None)
