"""The collections of the ledger: `entries`, append-only, and `balances`, derived from them in the same transaction.

A balance document: `_id` = account and currency joined by a blank, `account_id`, `currency`, `receivable` (what is owed),
`entry_count`, `updated_at` (the newest `posted_at`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.runtime import Index, in_transaction, to_document
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.ledger.domain.entry import Entry, receivables

INDEXES = (
    Index("entries", (("account_id", 1), ("posted_at", -1)), "the entries of an account, newest first; its balance recomputed"),
    Index("entries", (("bill_id", 1),), "audit: the entries of a bill"),
    Index("balances", (("account_id", 1),), "gateway: the balances of an account, one per currency"),
)


class LedgerStore:
    """The only writer of entries and balances."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._entries = database["entries"]
        self._balances = database["balances"]

    async def add(self, entries: Sequence[Entry]) -> None:
        """Write entries that are not there yet and move their balances, in one transaction; those that are there stay."""
        wanted = {entry.id: entry for entry in entries}
        while left := await self._missing(wanted):
            # Another instance may be first, while partitions move: then look again what is left to do.
            with suppress(AlreadyThere), ids_may_be_there():
                await self._insert(left)
                return

    async def _missing(self, wanted: Mapping[str, Entry]) -> list[Entry]:
        found = self._entries.find({"_id": {"$in": list(wanted)}}, {"_id": 1})
        present = {document["_id"] async for document in found}
        return [entry for entry_id, entry in wanted.items() if entry_id not in present]

    async def _insert(self, entries: Sequence[Entry]) -> None:
        documents = [to_document(entry) for entry in entries]
        updates = _balance_updates(entries)

        async def insert(session: AsyncClientSession) -> None:
            await self._entries.insert_many(documents, session=session)
            await self._balances.bulk_write(updates, ordered=False, session=session)

        await in_transaction(self._client, insert)


def _balance_updates(entries: Sequence[Entry]) -> list[UpdateOne]:
    of_owner: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        of_owner[entry.account_id, entry.currency].append(entry)
    return [
        UpdateOne(
            {"_id": f"{account_id} {currency}"},
            {
                "$inc": {"receivable": owed, "entry_count": len(of_owner[account_id, currency])},
                "$max": {"updated_at": max(entry.posted_at for entry in of_owner[account_id, currency])},
                "$setOnInsert": {"account_id": account_id, "currency": currency},
            },
            upsert=True,
        )
        for (account_id, currency), owed in receivables(entries).items()
    ]
