"""The collections of operations: `accounts`, what a run must know of each; `runs`; and `run_accounts`, one per account and run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from pymongo import AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.billing.final_bills import closed_since
from libs.contracts import AccountChanged, AccountState, BillRunChanged, BillRunRequested, BillRunState
from libs.contracts.derived_ids import BAR
from libs.contracts.fact import ID_LENGTH_MAX
from libs.runtime import Index, from_document, in_transaction, to_document
from libs.runtime.copies import remember_newest
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.operations.domain.bill_run import run_again
from services.operations.domain.run_account import AccountOutcome, RunAccount, joins_plainly, run_account_id

INDEXES = (
    Index("accounts", (("cycle", 1), ("state", 1)), "the accounts of a cycle when its run begins"),
    Index("run_accounts", (("run_id", 1), ("outcome", 1)), "the accounts of a run without outcome, or parked"),
)

T = TypeVar("T")


class OperationsStore:
    """Reads and writes of one service instance."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._accounts = database["accounts"]
        self._runs = database["runs"]
        self._run_accounts = database["run_accounts"]

    async def remember_accounts(self, accounts: Iterable[AccountChanged]) -> None:
        """Keep the cycle, state and time zone of each account, unless a newer revision is there already; and when it was closed."""
        accounts = list(accounts)
        # A closed account may be changed again, and then tells the instant of that change: the earliest is that of its closing.
        # Written first, for an account that is closed at no instant would be in no run; one that has only this is in none either.
        closings = [
            UpdateOne({"_id": account.id}, {"$min": {"closed_at": account.changed_at}}, upsert=True)
            for account in accounts
            if account.state is AccountState.CLOSED
        ]
        if closings:
            await self._accounts.bulk_write(closings, ordered=False)
        await remember_newest(self._accounts, accounts, fields=("cycle", "state", "time_zone"))

    async def run(self, run_id: str) -> BillRunChanged | None:
        """The run, when there is one."""
        document = await self._runs.find_one({"_id": run_id})
        return from_document(BillRunChanged, document) if document else None

    async def time_zones(self, requested: BillRunRequested) -> list[str]:
        """The time zones that the accounts of a run live in."""
        return await self._accounts.distinct("time_zone", _accounts_of(requested))

    async def snapshot_accounts(self, requested: BillRunRequested) -> int:
        """Put every account of the cycle that is open, or was closed lately, into the run, inside the database; returns how many are in it.

        Repeated after a crash it adds what is missing. Written before the run, so that a stored run is a whole one.
        """
        before_account = f"{requested.id}{BAR}"
        fits = {"$lte": [{"$strLenCP": "$_id"}, ID_LENGTH_MAX - len(before_account)]}
        needs_no_escape = {"$not": {"$regexMatch": {"input": "$_id", "regex": "[|%]"}}}
        plain = {"$and": [{"$literal": joins_plainly(requested.id)}, fits, needs_no_escape]}
        await self._snapshot_odd_ids(requested, plain)
        copied = await self._accounts.aggregate(
            [
                {"$match": {**_accounts_of(requested), "$expr": plain}},
                {
                    "$project": {
                        "_id": {"$concat": [{"$literal": before_account}, "$_id"]},
                        "run_id": {"$literal": requested.id},
                        "account_id": "$_id",
                        "time_zone": 1,
                        "closed_at": 1,
                        "outcome": {"$literal": None},
                    }
                },
                {"$merge": {"into": self._run_accounts.name, "whenMatched": "keepExisting", "whenNotMatched": "insert"}},
            ]
        )
        await copied.close()
        return await self._run_accounts.count_documents({"run_id": requested.id})

    async def _snapshot_odd_ids(self, requested: BillRunRequested, plain: dict[str, Any]) -> None:
        """Put the accounts into the run whose ids MongoDB cannot join with the run's: it computes no digests and escapes nothing."""
        wanted = {**_accounts_of(requested), "$expr": {"$not": plain}}
        async for account in self._accounts.find(wanted, {"time_zone": 1, "closed_at": 1}):
            document = {**account, "run_id": requested.id, "account_id": account["_id"], "outcome": None}
            id = document.pop("_id")
            await self._run_accounts.update_one({"_id": run_account_id(requested.id, id)}, {"$setOnInsert": document}, upsert=True)

    async def save_new(self, run: BillRunChanged) -> BillRunChanged:
        """Store a run that begins, or was refused before, and return it; one that began meanwhile stays and is returned."""
        try:
            with ids_may_be_there():
                await self._runs.replace_one({"_id": run.id, "state": BillRunState.REFUSED}, to_document(run), upsert=True)
        except AlreadyThere:
            return await self.run(run.id) or run
        return run

    async def reopen_parked(self, run: BillRunChanged, attempt: int) -> BillRunChanged:
        """Begin another attempt: its parked accounts are without outcome again, in one transaction."""

        async def reopen(session: AsyncClientSession) -> BillRunChanged:
            (current,) = await self.runs([run.id], session)
            if current.attempt >= attempt:
                return current
            parked = {"run_id": run.id, "outcome": AccountOutcome.PARKED}
            reopened = await self._run_accounts.update_many(parked, {"$set": {"outcome": None}}, session=session)
            following = run_again(current, attempt, reopened.modified_count)
            await self.save([following], session)
            return following

        return await in_transaction(self._client, reopen)

    async def undecided(self, run_id: str, slice_size: int) -> AsyncIterator[list[RunAccount]]:
        """The accounts of a run without outcome, in slices."""
        found = self._run_accounts.find({"run_id": run_id, "outcome": None}, batch_size=slice_size)
        accounts: list[RunAccount] = []
        async for document in found:
            accounts.append(from_document(RunAccount, document))
            if len(accounts) == slice_size:
                yield accounts
                accounts = []
        if accounts:
            yield accounts

    async def in_transaction(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Run `work(session)` in one transaction, again as a whole after a write conflict."""
        return await in_transaction(self._client, work)

    async def run_accounts(self, ids: Iterable[str], session: AsyncClientSession) -> dict[str, RunAccount]:
        """The accounts in runs among these ids, by id."""
        found = self._run_accounts.find({"_id": {"$in": list(ids)}}, session=session)
        return {document["_id"]: from_document(RunAccount, document) async for document in found}

    async def runs(self, run_ids: Iterable[str], session: AsyncClientSession) -> list[BillRunChanged]:
        """The runs among these ids."""
        found = self._runs.find({"_id": {"$in": list(run_ids)}}, session=session)
        return [from_document(BillRunChanged, document) async for document in found]

    async def save_accounts(self, accounts: Sequence[RunAccount], session: AsyncClientSession) -> None:
        """Store accounts of runs as they are now."""
        if accounts:
            replacements = [ReplaceOne({"_id": account.id}, to_document(account)) for account in accounts]
            await self._run_accounts.bulk_write(replacements, ordered=False, session=session)

    async def save(self, runs: Sequence[BillRunChanged], session: AsyncClientSession) -> None:
        """Store runs as they are now."""
        for run in runs:
            await self._runs.replace_one({"_id": run.id}, to_document(run), session=session)


def _accounts_of(requested: BillRunRequested) -> dict[str, Any]:
    lately = {"closed_at": {"$gte": closed_since(requested.period)}}
    return {"cycle": requested.cycle, "$or": [{"state": {"$ne": AccountState.CLOSED}}, lately]}
