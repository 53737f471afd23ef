"""A bill run: begun or refused, advanced by the outcomes of its accounts, completed by the last of them."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from libs.contracts import BillRunChanged, BillRunCounts, BillRunRequested, BillRunState
from libs.money import sum_exactly
from libs.periods import calendar_month
from services.operations.domain.run_account import AccountOutcome, RunAccount


def nonsense(requested: BillRunRequested) -> str | None:
    """Return why a request makes no sense whatever its accounts are; None when it does."""
    if requested.id != f"{requested.cycle}:{requested.period}":
        return f"the id of a run is its cycle and period, {requested.cycle}:{requested.period}, not {requested.id}"
    if requested.rerun:
        return f"there is no run {requested.id} to run again"
    try:
        calendar_month(requested.period, "UTC")
    except ValueError as error:
        return str(error)
    return None


def too_early(requested: BillRunRequested, zone_names: Iterable[str]) -> str | None:
    """Return the last time zone of the accounts in which the period is not over, in words; None when it is over everywhere."""
    ends = [(end, zone_name) for zone_name in zone_names if (end := _end(requested.period, zone_name)) is not None]
    if ends and requested.requested_at < max(ends)[0]:
        end, zone_name = max(ends)
        return f"{requested.period} is not over in {zone_name} before {end:%Y-%m-%d %H:%M} UTC"
    return None


def _end(period: str, zone_name: str) -> datetime | None:
    # An account in no known zone is parked by itself; it keeps nobody else from being billed.
    try:
        return calendar_month(period, zone_name).end
    except ValueError:
        return None


def begin(requested: BillRunRequested, account_count: int) -> BillRunChanged:
    """A new run over so many accounts, open or closed lately; without any it is refused, and may be asked for again."""
    if account_count == 0:
        return refuse(requested, f"no open account has the cycle {requested.cycle}")
    return BillRunChanged(
        id=requested.id,
        cycle=requested.cycle,
        period=requested.period,
        state=BillRunState.RUNNING,
        counts=BillRunCounts(accounts=account_count),
        started_at=requested.requested_at,
    )


def refuse(requested: BillRunRequested, reason: str) -> BillRunChanged:
    """A run that never was."""
    return BillRunChanged(
        id=requested.id,
        cycle=requested.cycle,
        period=requested.period,
        state=BillRunState.REFUSED,
        counts=BillRunCounts(),
        started_at=requested.requested_at,
        completed_at=requested.requested_at,
        reason=reason,
    )


def run_again(run: BillRunChanged, attempt: int, reopened_count: int) -> BillRunChanged:
    """The next attempt: `reopened_count` parked accounts are without outcome again; with none there is nothing to wait for."""
    counts = run.counts.model_copy(update={"parked": run.counts.parked - reopened_count})
    reopened = {"state": BillRunState.RUNNING, "completed_at": None} if reopened_count else {}
    return run.model_copy(update={"attempt": attempt, "counts": counts, "revision": run.revision + 1, **reopened})


def advance(run: BillRunChanged, changes: Iterable[tuple[RunAccount, RunAccount]], at: datetime) -> BillRunChanged:
    """Return the run after its accounts went from one outcome to the next, given as (before, after)."""
    moved: Counter[AccountOutcome] = Counter()
    amounts = dict(run.counts.amounts)
    fees_not_charged = run.counts.fees_not_charged
    for before, after in changes:
        moved.update({after.outcome: 1} if after.outcome else {})
        moved.subtract({before.outcome: 1} if before.outcome else {})
        fees_not_charged += bool(after.fees_not_charged) - bool(before.fees_not_charged)
        if before.amount is None and after.amount is not None and after.currency is not None:
            amounts[after.currency] = sum_exactly([amounts.get(after.currency, Decimal(0)), after.amount])
    outcomes = {outcome.value: getattr(run.counts, outcome) + moved[outcome] for outcome in AccountOutcome}
    counts = run.counts.model_copy(update={"amounts": amounts, "fees_not_charged": fees_not_charged, **outcomes})
    decided_count = counts.billed + counts.skipped + counts.parked
    assert decided_count <= counts.accounts, f"run {run.id}: {decided_count} outcomes of {counts.accounts} accounts"
    completed = {}
    if run.state is BillRunState.RUNNING and decided_count == counts.accounts:
        completed = {"state": BillRunState.COMPLETED, "completed_at": at}
    return run.model_copy(update={"counts": counts, "revision": run.revision + 1, **completed})
