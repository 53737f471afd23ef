"""Invoicing's own copy of the billing accounts (collection `accounts`)."""

import asyncio
import time
from collections.abc import Iterable

from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import AccountChanged
from libs.runtime import from_document
from libs.runtime.copies import remember_newest

FIELDS = tuple(field for field in AccountChanged.model_fields if field not in ("id", "revision"))
POLL_S = 0.1


class AccountCopies:
    """`wait_s`: how long accounts may stay unknown while their facts are still on the way."""

    def __init__(self, database: AsyncDatabase, wait_s: float) -> None:
        self._accounts = database["accounts"]
        self._wait_s = wait_s

    async def remember(self, accounts: Iterable[AccountChanged]) -> None:
        """Keep each account, unless a newer revision is there already."""
        await remember_newest(self._accounts, accounts, FIELDS)

    async def find(self, account_ids: Iterable[str]) -> dict[str, AccountChanged]:
        """The accounts among these ids, by id. Waits, bounded, for those that are missing.

        Charges and accounts travel on topics of their own: after a restart charges may come first, though rating
        can only have closed them for an account that was published before.
        """
        wanted = set(account_ids)
        deadline = time.monotonic() + self._wait_s
        found: dict[str, AccountChanged] = {}
        while True:
            missing = self._accounts.find({"_id": {"$in": list(wanted - found.keys())}})
            found.update({document["_id"]: from_document(AccountChanged, document) async for document in missing})
            if len(found) == len(wanted) or time.monotonic() >= deadline:
                return found
            await asyncio.sleep(POLL_S)
