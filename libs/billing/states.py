"""How a bill moves from state to state when somebody outside asks; payments move it on their own.

    new → validated | sent | onHold        sent, partiallyPaid → onHold
    validated → sent | onHold              onHold → where it was held from (new and validated may change places)

A hold freezes dunning and sending, not payments: released with `sent`, the bill lands where its payments put it,
in sent, partiallyPaid or settled. So does a bill of zero, which is settled as soon as it is sent.
"""

from datetime import datetime

from libs.contracts import BillIssued, BillState, BillStateChanged, BillStateRefused, BillStateRequested

_UNSENT = frozenset({BillState.NEW, BillState.VALIDATED})
_AFTER: dict[BillState, frozenset[BillState]] = {
    BillState.NEW: frozenset({BillState.VALIDATED, BillState.SENT, BillState.ON_HOLD}),
    BillState.VALIDATED: frozenset({BillState.SENT, BillState.ON_HOLD}),
    BillState.SENT: frozenset({BillState.ON_HOLD}),
    BillState.PARTIALLY_PAID: frozenset({BillState.ON_HOLD}),
    BillState.SETTLED: frozenset(),
}
_BY_PAYMENTS_ONLY = frozenset({BillState.PARTIALLY_PAID, BillState.SETTLED})


def change_state(bill: BillIssued | None, request: BillStateRequested, at: datetime) -> BillStateChanged | BillStateRefused:
    """Answer a request at an instant; `bill` is None when there is none with that id on that account."""
    if bill is None:
        return _refuse(request, f"there is no bill {request.bill_id} on account {request.account_id}")
    if request.state is bill.state:
        return _refuse(request, f"the bill is {bill.state} already", unchanged=True)
    if request.state in _BY_PAYMENTS_ONLY:
        return _refuse(request, f"{request.state} is set by payments; ask for new, onHold, validated or sent")
    legal = legal_states(bill)
    if request.state not in legal:
        ways = ", ".join(sorted(legal)) or "nowhere"
        return _refuse(request, f"a bill that is {_described(bill)} cannot become {request.state}; from there it goes to {ways}")
    return BillStateChanged(
        id=request.id, request_id=request.id, account_id=bill.account_id, from_state=bill.state, bill=_moved(bill, request.state, at)
    )


def legal_states(bill: BillIssued) -> frozenset[BillState]:
    """The states that may be asked for, from where the bill is."""
    if bill.state is BillState.ON_HOLD:
        return _UNSENT if bill.held_from in _UNSENT else frozenset({BillState.SENT})
    return _AFTER[bill.state]


def _moved(bill: BillIssued, state: BillState, at: datetime) -> BillIssued:
    held_from = bill.state if state is BillState.ON_HOLD else None
    if state is BillState.SENT:
        state = _sent_or_paid(bill)
    return bill.model_copy(update={"state": state, "held_from": held_from, "last_update_at": max(at, bill.last_update_at)})


def _sent_or_paid(bill: BillIssued) -> BillState:
    if bill.remaining_amount == 0:
        return BillState.SETTLED
    return BillState.SENT if bill.remaining_amount == bill.amount_due else BillState.PARTIALLY_PAID


def _described(bill: BillIssued) -> str:
    return f"onHold (held from {bill.held_from})" if bill.state is BillState.ON_HOLD else bill.state.value


def _refuse(request: BillStateRequested, reason: str, unchanged: bool = False) -> BillStateRefused:
    return BillStateRefused(
        id=request.id,
        request_id=request.id,
        bill_id=request.bill_id,
        account_id=request.account_id,
        unchanged=unchanged,
        reason=reason[:4000],
    )
