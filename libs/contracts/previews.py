"""Previews of bills: what a bill on demand would be if it were issued now. Nothing of them is kept.

A preview is asked by BillPreviewRequested and goes on to invoicing as ChargesPreviewed. It ends with BillPreviewed or
BillPreviewRefused. A request that comes again is answered anew: the client takes the first answer.
"""

from libs.contracts.bills import BillIssued
from libs.contracts.bounded import CalendarInstant
from libs.contracts.charges import ChargesClosed, PeriodCut, RunType
from libs.contracts.fact import Id, RecordFact, Text


class BillPreviewRequested(RecordFact, topic="bill.preview_requested.v1", key="account_id"):
    """A client wants to see the bill that a bill on demand would be now."""

    id: Id
    account_id: Id
    requested_at: CalendarInstant

    def cut(self) -> PeriodCut:
        """Return the cut of a bill on demand that was requested at the same instant. It is decided, but never made."""
        return PeriodCut(
            id=self.id,
            account_id=self.account_id,
            run_type=RunType.OFF_CYCLE,
            cause_id=self.id,
            requested_at=self.requested_at,
        )


class ChargesPreviewed(RecordFact, topic="charges.previewed.v1", key="account_id"):
    """What the cut of a bill on demand would close. No charge was closed, and no cut of the id of `charges` exists."""

    id: Id
    account_id: Id
    charges: ChargesClosed


class BillPreviewed(RecordFact, topic="bill.previewed.v1", key="account_id"):
    """The bill as it would be issued. It was not: its number is a placeholder, and no bill has its id."""

    id: Id
    request_id: Id
    account_id: Id
    bill: BillIssued


class BillPreviewRefused(RecordFact, topic="bill.preview_refused.v1", key="account_id"):
    """No bill could be issued, and why: rating could not make the cut, nothing is owed, or the account would be parked."""

    id: Id
    request_id: Id
    account_id: Id
    reason: Text
