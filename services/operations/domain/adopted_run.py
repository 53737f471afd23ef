"""A bill run as it follows from its accounts, for a database that was restored."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from libs.contracts import BillRunChanged, BillRunCounts, BillRunState, PeriodCut
from libs.money import sum_exactly
from services.operations.domain.run_account import AccountOutcome, RunAccount

NO_ZONE = "UTC"
Counted = Mapping[tuple[AccountOutcome | None, str | None], tuple[int, Decimal]]


def asked_account(cut: PeriodCut, time_zone: str | None) -> RunAccount:
    """Return the account of a run whose cut was published; no outcome yet."""
    return RunAccount(
        id=cut.id,
        run_id=cut.cause_id,
        account_id=cut.account_id,
        time_zone=time_zone or NO_ZONE,
        closed_at=cut.account_closed_at,
    )


def adopted_run(run: BillRunChanged, counted: Counted, fees_not_charged: int, now: datetime) -> BillRunChanged:
    """Return the run with the counts of its accounts; it runs while an account has no outcome, and is completed `now` by the last."""
    by_outcome: Counter[AccountOutcome | None] = Counter()
    amounts: dict[str, Decimal] = {}
    for (outcome, currency), (count, amount) in counted.items():
        by_outcome[outcome] += count
        if outcome is AccountOutcome.BILLED and currency is not None:
            amounts[currency] = sum_exactly([amounts.get(currency, Decimal(0)), amount])
    counts = BillRunCounts(
        accounts=max(run.counts.accounts, by_outcome.total()),
        billed=by_outcome[AccountOutcome.BILLED],
        skipped=by_outcome[AccountOutcome.SKIPPED],
        parked=by_outcome[AccountOutcome.PARKED],
        fees_not_charged=fees_not_charged,
        amounts=amounts,
    )
    if counts.billed + counts.skipped + counts.parked < counts.accounts:
        return run.model_copy(update={"counts": counts, "state": BillRunState.RUNNING, "completed_at": None})
    last = {} if run.state is BillRunState.COMPLETED else {"state": BillRunState.COMPLETED, "completed_at": now}
    return run.model_copy(update={"counts": counts, **last})
