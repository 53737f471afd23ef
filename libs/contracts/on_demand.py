"""Bills on demand: TMF678 customerBillOnDemand as facts."""

from enum import StrEnum

from libs.contracts.fact import Id, RecordFact, Text
from libs.periods import Instant


class OnDemandState(StrEnum):
    """TMF678 customerBillOnDemand.state; all but inProgress are final."""

    IN_PROGRESS = "inProgress"
    REJECTED = "rejected"
    DONE = "done"
    TERMINATED_WITH_ERROR = "terminatedWithError"


class OnDemandBillRequested(RecordFact, topic="on_demand_bill.requested.v1", key="account_id"):
    """A client wants a bill of an account now. The gateway minted `id`; repeating the fact repeats the answer."""

    id: Id
    account_id: Id
    name: Text | None = None
    description: Text | None = None
    requested_at: Instant


class OnDemandBillCompleted(RecordFact, topic="on_demand_bill.completed.v1", key="account_id"):
    """How a request ended: done with its bill, or rejected or terminatedWithError with a reason."""

    id: Id
    account_id: Id
    state: OnDemandState
    bill_id: Id | None = None
    reason: Text | None = None
    completed_at: Instant
