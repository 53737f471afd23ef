"""What the gateway reads of usage: rated ones with their charges, and those in suspense. None of it is written."""

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import AsyncMongoClient

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import database
from services.tmf_gateway.domain.tmf635 import with_what_stands

Stored = dict[str, Any]
# A usage that waits has no account yet.
RATED = {"account_id": {"$exists": True}}
WAITING = {"state": "open", "usage": {"$ne": None}}


class Usages:
    """Rating's `usage` and `suspense`, and what completes them."""

    def __init__(self, client: AsyncMongoClient, settings: RuntimeSettings) -> None:
        rating = database(client, settings, "rating")
        self.rated = rating["usage"]
        self.suspended = rating["suspense"]
        self._charges = rating["charges"]
        self._reratings = rating["reratings"]

    async def find(self, id: str) -> tuple[Stored | None, Stored | None]:
        """Return the rated usage of an id, or the suspense entry under that id."""
        usage = await self.rated.find_one({"_id": id})
        if usage is not None and "account_id" in usage:
            return usage, None
        entry_id = usage["suspense_id"] if usage is not None else id
        return None, await self.suspended.find_one({"_id": entry_id, **WAITING})

    async def complete(self, usages: Sequence[Stored]) -> None:
        """Add to each usage its charges and what a re-rating made of it."""
        ids = [usage["_id"] for usage in usages]
        reratings: dict[str, list[Stored]] = {}
        async for rerating in self._reratings.find({"usage_id": {"$in": ids}}).sort("number", 1):
            reratings.setdefault(rerating["usage_id"], []).append(rerating)
        charge_ids = {part["charge_id"] for usage in usages for part in _parts(usage, reratings.get(usage["_id"], []))}
        charges = {charge["_id"]: charge async for charge in self._charges_of(charge_ids)}
        for usage in usages:
            usage.update(with_what_stands(usage, charges, reratings.get(usage["_id"], [])))

    def _charges_of(self, ids: Iterable[str]) -> Any:
        return self._charges.find({"_id": {"$in": list(ids)}}, {"state": 1, "tiers": 1})


def _parts(usage: Stored, reratings: Sequence[Stored]) -> list[Stored]:
    return [*(reratings[-1]["new"] if reratings else ()), *(usage.get("parts") or [usage])]
