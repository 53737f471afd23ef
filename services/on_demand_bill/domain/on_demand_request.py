"""A request for a bill on demand, from its acceptance to its end.

An account that nobody here has heard of yet is no reason to reject: the gateway checked at its door that it exists,
and `account.changed` may arrive a moment after the request. So it is cut like any other, and rating's refusal is
believed only when it comes later than a period of grace; until then the same cut is asked again. Of the cuts that were asked
for, one may still be made after a refusal was believed: a bill is the last word about its request, whatever was said before.
"""

from datetime import datetime, timedelta

from libs.contracts import (
    AccountParked,
    AccountState,
    BillIssued,
    BillSkipped,
    CutRefused,
    Id,
    OnDemandBillCompleted,
    OnDemandBillRequested,
    OnDemandState,
    PeriodCut,
    Record,
    RunType,
    Text,
)
from libs.contracts.derived_ids import fitting_id
from libs.periods import Instant

CutOutcome = BillIssued | BillSkipped | AccountParked | CutRefused


class OnDemandRequest(Record):
    """The stored document (collection `requests`).

    `refused_at` is set while a refused cut waits to be asked again; `completed_at` with every state but inProgress.
    """

    id: Id
    account_id: Id
    requested_at: Instant
    received_at: Instant
    state: OnDemandState = OnDemandState.IN_PROGRESS
    bill_id: str | None = None
    reason: Text | None = None
    refused_at: Instant | None = None
    completed_at: Instant | None = None

    @property
    def is_running(self) -> bool:
        """Whether its end is still to come."""
        return self.state is OnDemandState.IN_PROGRESS


def accept(requested: OnDemandBillRequested, account_state: AccountState | None, at: datetime) -> OnDemandRequest:
    """A new request: running, or rejected at once when its account is closed. An unknown account has no state."""
    request = OnDemandRequest(id=requested.id, account_id=requested.account_id, requested_at=requested.requested_at, received_at=at)
    if account_state is AccountState.CLOSED:
        return _ended(request, OnDemandState.REJECTED, at, reason=f"account {requested.account_id} is closed")
    return request


def conclude(request: OnDemandRequest, outcome: CutOutcome, at: datetime, grace: timedelta) -> OnDemandRequest:
    """The request after an outcome of its cut; an ended request stays as it ended, unless it has its bill after all."""
    if request.state is OnDemandState.DONE or not (request.is_running or isinstance(outcome, BillIssued)):
        return request
    match outcome:
        case BillIssued():
            return _ended(request, OnDemandState.DONE, at, bill_id=outcome.id)
        case BillSkipped():
            return _ended(request, OnDemandState.REJECTED, at, reason="nothing to bill")
        case AccountParked():
            return _ended(request, OnDemandState.TERMINATED_WITH_ERROR, at, reason=outcome.reason)
        case CutRefused() if at < request.received_at + grace:
            return request.model_copy(update={"refused_at": at})
        case CutRefused():
            return _ended(request, OnDemandState.REJECTED, at, reason=outcome.reason)


def cut(request: OnDemandRequest) -> PeriodCut:
    """What rating is asked to close; the same request always asks for the same cut."""
    return PeriodCut(
        id=fitting_id(f"on-demand|{request.id}"),
        account_id=request.account_id,
        run_type=RunType.OFF_CYCLE,
        cause_id=request.id,
        requested_at=request.requested_at,
    )


def answer(request: OnDemandRequest) -> PeriodCut | OnDemandBillCompleted:
    """What a request says whenever it is asked: its cut while it runs, its end afterwards."""
    if request.completed_at is None:
        return cut(request)
    return OnDemandBillCompleted(
        id=request.id,
        account_id=request.account_id,
        state=request.state,
        bill_id=request.bill_id,
        reason=request.reason,
        completed_at=request.completed_at,
    )


def adopt_end(completed: OnDemandBillCompleted, requested_at: datetime) -> OnDemandRequest:
    """Return a request as its published end describes it."""
    return OnDemandRequest(
        id=completed.id,
        account_id=completed.account_id,
        requested_at=requested_at,
        received_at=requested_at,
        state=completed.state,
        bill_id=completed.bill_id,
        reason=completed.reason,
        completed_at=completed.completed_at,
    )


def _ended(
    request: OnDemandRequest, state: OnDemandState, at: datetime, *, bill_id: str | None = None, reason: str | None = None
) -> OnDemandRequest:
    return request.model_copy(update={"state": state, "bill_id": bill_id, "reason": reason, "refused_at": None, "completed_at": at})
