"""`tarifa bill-run`: bill every account of a cycle for a month, watch it, and run the parked ones again.

A run is started by a fact that operations takes; here its collections `runs` and `run_accounts` are only read.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from pymongo.asynchronous.database import AsyncDatabase
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from libs.cli.conversation import publish
from libs.cli.errors import CommandError
from libs.contracts import BillRunChanged, BillRunCounts, BillRunRequested, BillRunState, UnchargedFee
from libs.devstack.stack import running_settings
from libs.periods import MOMENT, local_date
from libs.runtime import from_document
from libs.runtime.mongo import connect, database
from libs.runtime.settings import RuntimeSettings

POLL_S = 0.2
TAKEN_TIMEOUT_S = 30.0
# A table of more is not read; --json has them all.
PARKED_SHOWN_MAX = 50
# Examples: how many there are the run counts.
PASSED_OVER_SHOWN_MAX = 20

app = typer.Typer(help="Bill every account of a cycle for a month; list and show runs.", invoke_without_command=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")]


@dataclass(frozen=True)
class ParkedAccount:
    """An account that the run could not bill, and why."""

    account_id: str
    reason: str


@dataclass(frozen=True)
class PassedOver:
    """An account with fees that are too old for any cut to charge them."""

    account_id: str
    time_zone: str
    fees: tuple[UnchargedFee, ...]

    def told(self) -> str:
        """Return the fees in words."""
        return "; ".join(
            f"{fee.price_id} of product {fee.product_id}, {fee.period_count} periods from {local_date(fee.period.start, self.time_zone)} "
            f"to {local_date(fee.period.end - MOMENT, self.time_zone)}"
            for fee in self.fees
        )


class RunReader:
    """Reads what operations stores of runs."""

    def __init__(self, operations: AsyncDatabase) -> None:
        self._operations = operations

    async def find(self, run_id: str) -> BillRunChanged | None:
        """A run as it stands now."""
        document = await self._operations["runs"].find_one({"_id": run_id})
        return from_document(BillRunChanged, document) if document else None

    async def all(self) -> list[BillRunChanged]:
        """Every run, the latest first."""
        return [from_document(BillRunChanged, document) async for document in self._operations["runs"].find().sort("started_at", -1)]

    async def passed_over(self, run_id: str) -> list[PassedOver]:
        """Return the first accounts of a run with fees that no cut charges, in order."""
        query = {"run_id": run_id, "fees_not_charged.0": {"$exists": True}}
        found = self._operations["run_accounts"].find(query, {"account_id": 1, "time_zone": 1, "fees_not_charged": 1})
        return [
            PassedOver(document["account_id"], document["time_zone"], tuple(UnchargedFee(**fee) for fee in document["fees_not_charged"]))
            async for document in found.sort("account_id", 1).limit(PASSED_OVER_SHOWN_MAX)
        ]

    async def parked(self, run_id: str) -> list[ParkedAccount]:
        """The parked accounts of a run, in order."""
        found = self._operations["run_accounts"].find({"run_id": run_id, "outcome": "parked"}, {"account_id": 1, "reason": 1})
        return [ParkedAccount(document["account_id"], document["reason"]) async for document in found.sort("account_id", 1)]


@app.callback()
def bill_run(
    context: typer.Context,
    cycle: Annotated[str, typer.Option(help="The billing cycle whose accounts are billed.")] = "monthly",
    period: Annotated[str | None, typer.Option(help="The month to bill, such as 2026-03, in each account's own time zone.")] = None,
    rerun: Annotated[str | None, typer.Option(metavar="RUN", help="Bill the parked accounts of this run again, and only them.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Watch until every account has an outcome.")] = True,
    as_json: AsJson = False,
) -> None:
    """Bill every account of a cycle for a month. Exit 1 when accounts are parked or the run is refused.

    The same command twice is one run: a finished one is shown, a running one is watched, and nothing is billed again.
    """
    if context.invoked_subcommand is not None:
        return
    if (period is None) == (rerun is None):
        raise typer.BadParameter("give the month to bill with --period 2026-03, or the run to bill again with --rerun monthly:2026-03")
    asyncio.run(_bill_run(cycle, period, rerun, wait=wait, as_json=as_json))


@app.command("list")
def list_runs(as_json: AsJson = False) -> None:
    """List the bill runs, the latest first."""
    runs = asyncio.run(_all_runs())
    if as_json:
        result.print_json(json.dumps([run.model_dump(mode="json") for run in runs]))
        return
    table = Table("run", "state", "attempt", "accounts", "billed", "skipped", "parked", "amounts", "started", box=None)
    for run in runs:
        counts = run.counts
        numbers = (str(number) for number in (run.attempt, counts.accounts, counts.billed, counts.skipped, counts.parked))
        table.add_row(escape(run.id), run.state, *numbers, _amounts(counts), f"{run.started_at:%Y-%m-%d %H:%M}")
    result.print(table)


@app.command()
def show(run_id: Annotated[str, typer.Argument(metavar="RUN", help="Such as monthly:2026-03.")], as_json: AsJson = False) -> None:
    """Show where a run stands and which accounts it parked. Exit 1 when there are any, or it was refused."""
    asyncio.run(_show(run_id, as_json=as_json))


async def run_cycle(settings: RuntimeSettings, cycle: str, period: str, bar: Progress) -> BillRunChanged:
    """Start the run of a cycle unless it was started before, and watch it to its end, refused ones included."""
    async with _run_reader(settings) as runs:
        asked = await _request(runs, f"{cycle}:{period}", cycle, period)
        if isinstance(asked, BillRunRequested):
            await publish(settings, [asked])
        return await _watch(runs, asked, bar)


async def _bill_run(cycle: str, period: str | None, rerun: str | None, *, wait: bool, as_json: bool) -> None:
    settings = running_settings()
    async with _run_reader(settings) as runs:
        asked = await _request_again(runs, rerun) if rerun else await _request(runs, f"{cycle}:{period}", cycle, period or "")
        if isinstance(asked, BillRunRequested):
            await publish(settings, [asked])
            progress.print(f"run {escape(asked.id)} was asked for")
        else:
            progress.print(f"run {escape(asked.id)} is {asked.state} already: nothing is asked for again")
        if not wait:
            if as_json:
                result.print_json(json.dumps({"id": asked.id}))
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=progress) as bar:
            run = await _watch(runs, asked, bar)
        _tell(run, await runs.parked(run.id), await runs.passed_over(run.id), as_json=as_json)


async def _request(runs: RunReader, run_id: str, cycle: str, period: str) -> BillRunRequested | BillRunChanged:
    run = await runs.find(run_id)
    if run is not None and run.state is not BillRunState.REFUSED:
        return run
    return BillRunRequested(id=run_id, cycle=cycle, period=period, requested_at=datetime.now(UTC))


async def _request_again(runs: RunReader, run_id: str) -> BillRunRequested | BillRunChanged:
    run = await _existing(runs, run_id)
    if run.state is BillRunState.RUNNING:
        raise CommandError(f"run {run_id} is still running", "wait until it is completed, then run its parked accounts again")
    if run.counts.parked == 0:
        return run
    return BillRunRequested(id=run.id, cycle=run.cycle, period=run.period, rerun=run.attempt + 1, requested_at=datetime.now(UTC))


async def _existing(runs: RunReader, run_id: str) -> BillRunChanged:
    run = await runs.find(run_id)
    if run is None:
        raise CommandError(f"there is no run {run_id}", "see `tarifa bill-run list`")
    return run


async def _watch(runs: RunReader, asked: BillRunRequested | BillRunChanged, bar: Progress) -> BillRunChanged:
    deadline = time.monotonic() + TAKEN_TIMEOUT_S
    task = bar.add_task(escape(asked.id), total=None)
    while True:
        run = await runs.find(asked.id)
        if run is not None and _answers(run, asked):
            description = f"{escape(run.id)}: {escape(_counts(run.counts))}"
            bar.update(task, total=run.counts.accounts, completed=_decided_count(run.counts), description=description)
            if run.state is not BillRunState.RUNNING:
                return run
        elif time.monotonic() > deadline:
            raise CommandError(
                f"operations did not take the run within {TAKEN_TIMEOUT_S:g} s",
                "see `tarifa status`; once operations is up it takes the run, and the same command shows it",
            )
        await asyncio.sleep(POLL_S)


def _answers(run: BillRunChanged, asked: BillRunRequested | BillRunChanged) -> bool:
    """Return whether the stored run is the answer to a request, and not left by an earlier one."""
    if isinstance(asked, BillRunChanged):
        return True
    if asked.rerun:
        return run.attempt >= asked.rerun
    return run.state is not BillRunState.REFUSED or run.started_at == asked.requested_at


async def _show(run_id: str, *, as_json: bool) -> None:
    async with _run_reader(running_settings()) as runs:
        run = await _existing(runs, run_id)
        _tell(run, await runs.parked(run_id), await runs.passed_over(run_id), as_json=as_json)


async def _all_runs() -> list[BillRunChanged]:
    async with _run_reader(running_settings()) as runs:
        return await runs.all()


@asynccontextmanager
async def _run_reader(settings: RuntimeSettings) -> AsyncIterator[RunReader]:
    client = connect(settings)
    try:
        yield RunReader(database(client, settings, "operations"))
    finally:
        await client.close()


def _tell(run: BillRunChanged, parked: Sequence[ParkedAccount], passed_over: Sequence[PassedOver], *, as_json: bool) -> None:
    if as_json:
        result.print_json(json.dumps(_as_json(run, parked, passed_over)))
    else:
        _tell_people(run, parked, passed_over)
    if run.state is BillRunState.REFUSED:
        raise CommandError(f"run {run.id} was refused: {run.reason}")
    if parked:
        raise CommandError(f"{len(parked)} accounts are parked", f"mend the reasons, then `tarifa bill-run --rerun {run.id}`")


def _as_json(run: BillRunChanged, parked: Sequence[ParkedAccount], passed_over: Sequence[PassedOver]) -> dict[str, Any]:
    return {
        **run.model_dump(mode="json"),
        "parked": [{"account_id": account.account_id, "reason": account.reason} for account in parked],
        "fees_not_charged": [
            {"account_id": account.account_id, "fees": [fee.model_dump(mode="json") for fee in account.fees]} for account in passed_over
        ],
    }


def _tell_people(run: BillRunChanged, parked: Sequence[ParkedAccount], passed_over: Sequence[PassedOver]) -> None:
    attempt = f", attempt {run.attempt}" if run.attempt else ""
    result.print(
        f"run {escape(run.id)} is {run.state}{attempt}: {run.counts.accounts} accounts, {escape(_counts(run.counts))}", soft_wrap=True
    )
    if passed_over:
        _tell_passed_over(run.counts.fees_not_charged, passed_over)
    if not parked:
        return
    table = Table("parked account", "reason", box=None)
    for account in parked[:PARKED_SHOWN_MAX]:
        table.add_row(escape(account.account_id), escape(account.reason))
    result.print(table)
    if len(parked) > PARKED_SHOWN_MAX:
        result.print(f"and {len(parked) - PARKED_SHOWN_MAX} more; --json has them all")


def _tell_passed_over(count: int, passed_over: Sequence[PassedOver]) -> None:
    result.print(f"{count} accounts have fees that no cut charges: they ended more than a year before its period")
    table = Table("account", "fees", box=None)
    for account in passed_over:
        table.add_row(escape(account.account_id), escape(account.told()))
    result.print(table)
    if count > len(passed_over):
        result.print(f"and {count - len(passed_over)} more accounts")
    result.print(
        "Charge them by hand, or give the account a billingStartDate if it was billed elsewhere then; see `tarifa audit`.", soft_wrap=True
    )


def _decided_count(counts: BillRunCounts) -> int:
    return counts.billed + counts.skipped + counts.parked


def _counts(counts: BillRunCounts) -> str:
    amounts = f" ({_amounts(counts)})" if counts.amounts else ""
    return f"{counts.billed} billed{amounts}, {counts.skipped} skipped, {counts.parked} parked"


def _amounts(counts: BillRunCounts) -> str:
    return ", ".join(f"{amount:,} {currency}" for currency, amount in sorted(counts.amounts.items()))
