"""Handlers of operations: remember accounts, start bill runs, count their outcomes."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence

from pymongo.asynchronous.client_session import AsyncClientSession

from libs.contracts import (
    AccountChanged,
    AccountParked,
    BillIssued,
    BillRunChanged,
    BillRunRequested,
    BillRunState,
    BillSkipped,
    CutRefused,
    Fact,
    FeesNotCharged,
    RunType,
)
from libs.runtime import Batch
from services.operations.domain.bill_run import advance, begin, nonsense, refuse, too_early
from services.operations.domain.run_account import RunAccount, ask, decide, run_account_id
from services.operations.store import OperationsStore

# Cuts in memory at a time: a run of a million accounts must not need a million facts at once.
CUTS_PER_SLICE = 2_000

Publish = Callable[[Iterable[Fact]], Awaitable[None]]


async def remember_accounts(batch: Batch[AccountChanged], *, store: OperationsStore) -> Sequence[Fact]:
    """Keep what a run must know of its accounts."""
    await store.remember_accounts(batch)
    return []


async def start_bill_runs(batch: Batch[BillRunRequested], *, store: OperationsStore, publish: Publish) -> Sequence[Fact]:
    """Ask for a cut of every account of the run that has no outcome: all of them at first, the rest after a crash.

    The cuts leave in slices before the return, which tells where the run stands; a run that is completed only tells that.
    """
    answers = []
    for requested in batch:
        run = await _begun(requested, store)
        if run.state is BillRunState.RUNNING:
            async for accounts in store.undecided(run.id, CUTS_PER_SLICE):
                await publish([ask(account, run) for account in accounts])
        answers.append(run)
    return answers


async def _begun(requested: BillRunRequested, store: OperationsStore) -> BillRunChanged:
    run = await store.run(requested.id)
    if run is not None and run.state is not BillRunState.REFUSED:
        return await store.reopen_parked(run, requested.rerun) if requested.rerun == run.attempt + 1 else run
    reason = nonsense(requested) or too_early(requested, await store.time_zones(requested))
    begun = refuse(requested, reason) if reason else begin(requested, await store.snapshot_accounts(requested))
    return await store.save_new(begun)


async def count_outcomes(
    batch: Batch[BillIssued | BillSkipped | AccountParked | CutRefused | FeesNotCharged], *, store: OperationsStore
) -> Sequence[Fact]:
    """Count each account of a run once, in one transaction per batch; tell where the runs that were touched stand."""
    outcomes = [
        (run_account_id(outcome.cause_id, outcome.account_id), outcome) for outcome in batch if outcome.run_type is RunType.ON_CYCLE
    ]
    if not outcomes:
        return []

    async def count(session: AsyncClientSession) -> Sequence[Fact]:
        found = await store.run_accounts({account_id for account_id, _ in outcomes}, session)
        decided = dict(found)
        for account_id, outcome in outcomes:
            if account_id in decided:
                decided[account_id] = decide(decided[account_id], outcome, batch.received_at)
        changes: defaultdict[str, list[tuple[RunAccount, RunAccount]]] = defaultdict(list)
        for before in found.values():
            if decided[before.id] is not before:
                changes[before.run_id].append((before, decided[before.id]))
        runs = await store.runs({account.run_id for account in found.values()}, session)
        advanced = [advance(run, changes[run.id], batch.received_at) if run.id in changes else run for run in runs]
        await store.save_accounts([after for pairs in changes.values() for _, after in pairs], session)
        await store.save([run for run in advanced if run.id in changes], session)
        return advanced

    return await store.in_transaction(count)
