"""Leases: at any time one process has a thing in hand, such as a subscriber of the hub, so that nothing is done twice or out of order.

Compared by the database's clock alone. A holder that dies is replaced when its lease runs out. A holder that hung or could not
prolong its lease in time counts it as lost by its own clock, which never runs out later than the database's.
"""

import time
import uuid

from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection

from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there


class Leases:
    """The leases that this process holds (a collection of their own: the thing's id, holder, until)."""

    def __init__(self, leases: AsyncCollection, duration_s: float) -> None:
        self._leases = leases
        self._holder = uuid.uuid4().hex
        self._duration_s = duration_s
        # By this process's monotonic clock, counted from before the database was asked: never later than the lease.
        self._held_until: dict[str, float] = {}

    async def hold(self, id: str) -> bool:
        """Take the lease or prolong it. Returns False when another process has it."""
        held_until = time.monotonic() + self._duration_s
        mine_or_free = {"$or": [{"$eq": ["$holder", self._holder]}, {"$lt": ["$until", "$$NOW"]}]}
        until = {"$add": ["$$NOW", int(self._duration_s * 1000)]}
        take = {"holder": {"$cond": [mine_or_free, self._holder, "$holder"]}, "until": {"$cond": [mine_or_free, until, "$until"]}}
        try:
            with ids_may_be_there():
                lease = await self._leases.find_one_and_update(
                    {"_id": id}, [{"$set": take}], upsert=True, return_document=ReturnDocument.AFTER
                )
        except AlreadyThere:
            lease = None
        if lease is None or lease["holder"] != self._holder:
            self._held_until.pop(id, None)
            return False
        self._held_until[id] = held_until
        return True

    async def prolong(self, id: str) -> bool:
        """Hold on, asking the database only when a third of the time is gone. Returns False when the lease was lost.

        A lease that ran out is lost, even where nobody else has it now: somebody may have had it in between.
        """
        return self.covers(id, self._duration_s * 2 / 3) or (self.covers(id, 0) and await self.hold(id))

    def covers(self, id: str, seconds: float) -> bool:
        """Return whether the lease lasts at least that much longer."""
        return self._held_until.get(id, 0) - time.monotonic() >= seconds

    async def release(self, id: str) -> None:
        """Let others have it at once."""
        self._held_until.pop(id, None)
        await self._leases.delete_one({"_id": id, "holder": self._holder})
