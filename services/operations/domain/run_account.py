"""An account in a bill run: what is asked for it, and the outcome that came.

billed and skipped are final; a parked account may still be billed (or skipped) later, and then moves.
"""

from decimal import Decimal
from enum import StrEnum

from libs.contracts import (
    AccountParked,
    BillIssued,
    BillRunChanged,
    BillSkipped,
    CutRefused,
    FeesNotCharged,
    Id,
    PeriodCut,
    Record,
    RunType,
    Text,
    UnchargedFee,
)
from libs.contracts.derived_ids import BAR, joined_id
from libs.periods import Instant, calendar_month

CutOutcome = BillIssued | BillSkipped | AccountParked | CutRefused
# What a run hears of one of its accounts.
CutNews = CutOutcome | FeesNotCharged


class AccountOutcome(StrEnum):
    """The outcomes of an account in a run; the names are those of the run's counts."""

    BILLED = "billed"
    SKIPPED = "skipped"
    PARKED = "parked"


class RunAccount(Record):
    """The stored document (collection `run_accounts`). No outcome means that its cut is still awaited.

    `amount` is the bill's total including tax in `currency`, present when billed; `reason` is the last one it was parked for.
    `closed_at` is there when the account was closed before the run began. `fees_not_charged` are some that its cut passed over.
    """

    id: Id
    run_id: Id
    account_id: Id
    time_zone: Id
    closed_at: Instant | None = None
    outcome: AccountOutcome | None = None
    bill_id: str | None = None
    currency: str | None = None
    amount: Decimal | None = None
    reason: Text | None = None
    decided_at: Instant | None = None
    fees_not_charged: tuple[UnchargedFee, ...] = ()


def run_account_id(run_id: str, account_id: str) -> str:
    """Return the derived id of an account in a run, where it is once; also the id of its cut."""
    return joined_id(run_id, account_id)


def joins_plainly(run_id: str) -> bool:
    """Return whether a run's id and a short account id without bar and escape are joined as they are."""
    return run_account_id(run_id, "a") == f"{run_id}{BAR}a"


def ask(account: RunAccount, run: BillRunChanged) -> PeriodCut | AccountParked:
    """The cut of the run's period in the account's own time zone; parked when the calendar has no such period or zone."""
    try:
        period = calendar_month(run.period, account.time_zone)
    except ValueError as error:
        return AccountParked(
            id=account.id, account_id=account.account_id, run_type=RunType.ON_CYCLE, cause_id=run.id, reason=str(error)[:1_000]
        )
    return PeriodCut(
        id=account.id,
        account_id=account.account_id,
        run_type=RunType.ON_CYCLE,
        period=period,
        cause_id=run.id,
        requested_at=run.started_at,
        account_closed_at=account.closed_at,
    )


def decide(account: RunAccount, outcome: CutNews, at: Instant) -> RunAccount:
    """Return the account after an outcome, or with what its cut passed over; the same account when that changes nothing."""
    if isinstance(outcome, FeesNotCharged):
        known = account.fees_not_charged == outcome.fees
        return account if known else account.model_copy(update={"fees_not_charged": outcome.fees})
    if account.outcome in (AccountOutcome.BILLED, AccountOutcome.SKIPPED):
        return account
    match outcome:
        case BillIssued():
            decided = {
                "outcome": AccountOutcome.BILLED,
                "bill_id": outcome.id,
                "currency": outcome.currency,
                "amount": outcome.tax_included_amount,
                "reason": None,
            }
        case BillSkipped():
            decided = {"outcome": AccountOutcome.SKIPPED, "reason": None}
        case AccountParked() | CutRefused():
            if (account.outcome, account.reason) == (AccountOutcome.PARKED, outcome.reason):
                return account
            decided = {"outcome": AccountOutcome.PARKED, "reason": outcome.reason}
    return account.model_copy(update={**decided, "decided_at": at})
