"""The log by which every worker learns which products changed since its last batch.

One document counts the keys that ever changed and keeps the last of them. A reader that is further behind learns that it knows nothing.
"""

from collections.abc import Collection

from pymongo.asynchronous.database import AsyncDatabase

LOG = {"_id": "products"}
# 10 s of 50 changes a second, each of a product with one number. A key has 256 bytes at most, so the document stays below 300 KB.
KEYS_KEPT = 1_000


class ProductChanges:
    """The document `products` of `directory_version`."""

    def __init__(self, store: AsyncDatabase) -> None:
        self._versions = store["directory_version"]
        self._count = -1

    async def add(self, keys: Collection[str]) -> None:
        """Log the keys of products that have been written. Never before: a batch between the two would keep the old as the new."""
        if keys:
            log = {"$push": {"keys": {"$each": list(keys), "$slice": -KEYS_KEPT}}, "$inc": {"count": len(keys)}}
            await self._versions.update_one(LOG, log, upsert=True)

    async def unread(self) -> Collection[str] | None:
        """Return the keys logged since the last call, or None where the log no longer holds all of them."""
        counted = await self._versions.find_one(LOG, {"count": 1})
        if (counted["count"] if counted else 0) == self._count:
            return ()
        log = await self._versions.find_one(LOG) or {"count": 0, "keys": []}
        # Another batch of this process may have read further meanwhile.
        behind = log["count"] - self._count
        if behind <= 0:
            return ()
        is_all_there = self._count >= 0 and behind <= len(log["keys"])
        self._count = log["count"]
        return log["keys"][-behind:] if is_all_there else None
