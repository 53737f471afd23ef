"""The collections of on_demand_bill: `accounts`, what it must know of each, and `requests`, each with its end."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo import ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import AccountChanged, AccountState, OnDemandState
from libs.runtime import Index, from_document, to_document
from libs.runtime.copies import remember_newest
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.on_demand_bill.domain.on_demand_request import OnDemandRequest

INDEXES = (Index("requests", (("state", 1), ("refused_at", 1)), "running requests whose refused cut is due again"),)

REFUSED_AT_A_TIME = 500


class OnDemandStore:
    """Reads and writes of one service instance; the database's codecs keep decimals and instants exact."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._accounts = database["accounts"]
        self._requests = database["requests"]

    async def remember_accounts(self, accounts: Iterable[AccountChanged]) -> None:
        """Keep the state of each account, unless a newer revision is there already."""
        await remember_newest(self._accounts, accounts, fields=("state",))

    async def account_states(self, account_ids: Iterable[str]) -> dict[str, AccountState]:
        """The state of each account that was heard of."""
        found = self._accounts.find({"_id": {"$in": list(set(account_ids))}}, {"state": 1})
        return {document["_id"]: AccountState(document["state"]) async for document in found}

    async def requests(self, request_ids: Iterable[str]) -> dict[str, OnDemandRequest]:
        """The requests among these ids, by id."""
        found = self._requests.find({"_id": {"$in": list(set(request_ids))}})
        return {document["_id"]: from_document(OnDemandRequest, document) async for document in found}

    async def add(self, requests: Sequence[OnDemandRequest]) -> None:
        """Store new requests; one that another instance stored meanwhile stays as it is."""
        if requests:
            with suppress(AlreadyThere), ids_may_be_there():
                await self._requests.insert_many([to_document(request) for request in requests], ordered=False)

    async def update(self, requests: Sequence[OnDemandRequest]) -> None:
        """Store what became of requests; one that has ended meanwhile stays as it ended, unless it has its bill now."""
        if requests:
            await self._requests.bulk_write(
                [ReplaceOne({"_id": request.id, "state": _before(request.state)}, to_document(request)) for request in requests]
            )

    async def refused_before(self, instant: datetime) -> list[OnDemandRequest]:
        """The running requests whose cut was refused before `instant`, the longest waiting first, bounded."""
        due = self._requests.find({"state": OnDemandState.IN_PROGRESS, "refused_at": {"$lt": instant}})
        return [from_document(OnDemandRequest, document) async for document in due.sort("refused_at", 1).limit(REFUSED_AT_A_TIME)]

    async def asked_again(self, requests: Sequence[OnDemandRequest]) -> None:
        """The cut of each was published again: wait for its next answer, unless that has come already."""
        for request in requests:
            await self._requests.update_one({"_id": request.id, "refused_at": request.refused_at}, {"$set": {"refused_at": None}})


def _before(state: OnDemandState) -> Any:
    return {"$ne": OnDemandState.DONE} if state is OnDemandState.DONE else OnDemandState.IN_PROGRESS
