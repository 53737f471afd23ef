"""Leases: at any time one instance serves a subscriber, so no two post the same delivery and its order holds.

Compared by the database's clock alone. A holder that dies is replaced when its lease runs out.
"""

import time
import uuid

from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase

from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there


class Leases:
    """The leases that this process holds (collection `leases`: subscription id, holder, until)."""

    def __init__(self, database: AsyncDatabase, duration_s: float) -> None:
        self._leases = database["leases"]
        self._holder = uuid.uuid4().hex
        self._duration_s = duration_s
        # By this process's monotonic clock, counted from before the database was asked: never later than the lease.
        self._held_until: dict[str, float] = {}

    async def hold(self, subscription_id: str) -> bool:
        """Take the lease or prolong it; False when another process has it."""
        held_until = time.monotonic() + self._duration_s
        mine_or_free = {"$or": [{"$eq": ["$holder", self._holder]}, {"$lt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(self._duration_s * 1000)]}
        take = {"holder": {"$cond": [mine_or_free, self._holder, "$holder"]}, "until": {"$cond": [mine_or_free, until, "$until"]}}
        try:
            with ids_may_be_there():
                lease = await self._leases.find_one_and_update(
                    {"_id": subscription_id}, [{"$set": take}], upsert=True, return_document=ReturnDocument.AFTER
                )
        except AlreadyThere:
            lease = None
        if lease is None or lease["holder"] != self._holder:
            self._held_until.pop(subscription_id, None)
            return False
        self._held_until[subscription_id] = held_until
        return True

    async def prolong(self, subscription_id: str) -> bool:
        """Hold on, asking the database only when a third of the time is gone; False when the lease was lost."""
        return self.covers(subscription_id, self._duration_s * 2 / 3) or await self.hold(subscription_id)

    def covers(self, subscription_id: str, seconds: float) -> bool:
        """Whether the lease lasts at least that much longer."""
        return self._held_until.get(subscription_id, 0) - time.monotonic() >= seconds

    async def release(self, subscription_id: str) -> None:
        """Let others serve the subscriber at once."""
        self._held_until.pop(subscription_id, None)
        await self._leases.delete_one({"_id": subscription_id, "holder": self._holder})
