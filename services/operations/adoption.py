"""Adopting bill runs: after a restore a run has the accounts and outcomes that it had, also when other accounts were opened since.

The accounts of a run are those whose cuts were published, and its counts follow from their outcomes.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pymongo import ReplaceOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import (
    AccountParked,
    BillIssued,
    BillRunChanged,
    BillRunState,
    BillSkipped,
    CutRefused,
    FeesNotCharged,
    PeriodCut,
    RunType,
)
from libs.runtime import from_document, to_document
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import Published, PublishedReader
from services.operations.domain.adopted_run import adopted_run, asked_account
from services.operations.domain.run_account import AccountOutcome, CutNews, RunAccount, decide, run_account_id

NEWS: tuple[type[CutNews], ...] = (BillIssued, BillSkipped, AccountParked, CutRefused, FeesNotCharged)


class RunAdoption:
    """Writes runs and their accounts."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._runs = database["runs"]
        self._accounts = database["accounts"]
        self._run_accounts = database["run_accounts"]

    async def adopt(self, published: PublishedReader, adopted: Adopted) -> None:
        """Take over the runs that were begun or went on since the backup."""
        runs = await self._newest(published)
        if not runs:
            return
        async for cuts in published.read(PeriodCut):
            await self._adopt_accounts([cut.fact for cut in cuts if cut.fact.cause_id in runs], adopted)
        for fact in NEWS:
            async for outcomes in published.read(fact):
                await self._adopt_outcomes([each for each in outcomes if each.fact.cause_id in runs])
        for run in runs.values():
            await self._adopt_run(run, adopted)

    async def _newest(self, published: PublishedReader) -> dict[str, BillRunChanged]:
        newest: dict[str, BillRunChanged] = {}
        async for changes in published.read(BillRunChanged):
            for change in changes:
                known = newest.get(change.fact.id)
                if known is None or known.revision <= change.fact.revision:
                    newest[change.fact.id] = change.fact
        return newest

    async def _adopt_accounts(self, cuts: Sequence[PeriodCut], adopted: Adopted) -> None:
        on_cycle = [cut for cut in cuts if cut.run_type is RunType.ON_CYCLE]
        wanted = {"_id": {"$in": [cut.account_id for cut in on_cycle]}}
        zones = {document["_id"]: document.get("time_zone") async for document in self._accounts.find(wanted, {"time_zone": 1})}
        accounts = [to_document(asked_account(cut, zones.get(cut.account_id))) for cut in on_cycle]
        await insert_missing(self._run_accounts, accounts, adopted, "accounts in bill runs")

    async def _adopt_outcomes(self, outcomes: Sequence[Published[CutNews]]) -> None:
        on_cycle = [each for each in outcomes if each.fact.run_type is RunType.ON_CYCLE]
        ids = [run_account_id(each.fact.cause_id, each.fact.account_id) for each in on_cycle]
        found = {document["_id"]: from_document(RunAccount, document) async for document in self._run_accounts.find({"_id": {"$in": ids}})}
        decided = dict(found)
        for id, outcome in zip(ids, on_cycle, strict=True):
            if id in decided:
                decided[id] = decide(decided[id], outcome.fact, outcome.at)
        changed = [ReplaceOne({"_id": id}, to_document(account)) for id, account in decided.items() if account is not found[id]]
        if changed:
            await self._run_accounts.bulk_write(changed, ordered=False)

    async def _adopt_run(self, run: BillRunChanged, adopted: Adopted) -> None:
        if run.state is not BillRunState.REFUSED:
            counted = await self._counted(run.id)
            if sum(count for count, _ in counted.values()) < run.counts.accounts:
                adopted.lost.append(f"bill run {run.id} had {run.counts.accounts} accounts, and Kafka holds the cuts of fewer")
            passed_over = {"run_id": run.id, "fees_not_charged.0": {"$exists": True}}
            run = adopted_run(run, counted, await self._run_accounts.count_documents(passed_over), datetime.now(UTC))
        kept = await self._runs.replace_one({"_id": run.id}, to_document(run), upsert=True)
        adopted.counts["bill runs"] += bool(kept.upserted_id or kept.modified_count)

    async def _counted(self, run_id: str) -> dict[tuple[AccountOutcome | None, str | None], tuple[int, Decimal]]:
        """Count the accounts of a run and add up their amounts, by outcome and currency."""
        grouped = await self._run_accounts.aggregate(
            [
                {"$match": {"run_id": run_id}},
                {"$group": {"_id": {"outcome": "$outcome", "currency": "$currency"}, "count": {"$sum": 1}, "amount": {"$sum": "$amount"}}},
            ]
        )
        found = {}
        async for group in grouped:
            outcome = group["_id"].get("outcome")
            of = (AccountOutcome(outcome) if outcome else None, group["_id"].get("currency"))
            found[of] = (group["count"], Decimal(group["amount"]))
        return found
