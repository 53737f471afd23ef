"""Bills: TMF678 customerBill as facts. A bill is decided once per cut and its lines never change."""

from enum import StrEnum

from libs.contracts.accounts import PostalAddress
from libs.contracts.bounded import BilledAmount, Count, CurrencyCode
from libs.contracts.charges import AppliedTax, ChargeLine, RunType
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.periods import Instant, Period


class BillState(StrEnum):
    """TMF678 customerBill.state."""

    NEW = "new"
    VALIDATED = "validated"
    SENT = "sent"
    PARTIALLY_PAID = "partiallyPaid"
    SETTLED = "settled"
    ON_HOLD = "onHold"


class BillLine(ChargeLine):
    """A charge on a bill with its share of the taxes; shares add up to the bill's tax items exactly."""

    amount: BilledAmount
    taxes: tuple[AppliedTax, ...] = ()


class BillDiscount(Record):
    """A discount after tax: a negative amount that lowers what is due, and neither price nor tax."""

    discount_id: Id
    product_id: Id
    product_name: Text
    description: Text
    amount: BilledAmount


class BillDocument(Record):
    """A rendering of a bill, kept in GridFS under this id and served by the gateway."""

    id: Id
    name: Text
    mime_type: Text


class BillIssuer(Record):
    """Who sends the bill, as printed on it; kept with the bill, for a company that moves does not change its old bills."""

    name: Text
    address: PostalAddress = PostalAddress()
    tax_number: Text = ""
    email: Text = ""
    phone: Text = ""
    website: Text = ""
    payment_terms: Text = ""


class BillIssued(RecordFact, topic="bill.issued.v1", key="account_id"):
    """A bill with its legal number; also the stored document (collection `bills` of invoicing), whose
    `state`, `held_from`, `remaining_amount` and `last_update_at` move on while the rest never changes.

    tax_included_amount = tax_excluded_amount + sum of tax items; amount_due = tax_included_amount + sum of discounts, which
    are those after tax. Below zero, it is a credit: nothing is to be paid, and the account's balance falls by it.
    """

    id: Id
    bill_no: Id
    account_id: Id
    account_name: Text
    address: PostalAddress
    related_party_id: Text | None = None
    related_party_name: Text | None = None
    run_type: RunType
    category: Text = "normal"
    cut_id: Id
    cause_id: Id
    period: Period
    bill_date: Instant
    payment_due_at: Instant
    next_bill_at: Instant | None = None
    currency: CurrencyCode
    time_zone: Id
    lines: tuple[BillLine, ...]
    tax_items: tuple[AppliedTax, ...]
    discounts: tuple[BillDiscount, ...] = ()
    tax_excluded_amount: BilledAmount
    tax_included_amount: BilledAmount
    amount_due: BilledAmount
    remaining_amount: BilledAmount
    documents: tuple[BillDocument, ...]
    template_version: Text
    locale: Text = "en"
    issuer: BillIssuer | None = None
    state: BillState = BillState.NEW
    held_from: BillState | None = None
    last_update_at: Instant


class BillSkipped(RecordFact, topic="bill.skipped.v1", key="account_id"):
    """A cut that closed nothing: there is no bill to issue."""

    id: Id
    account_id: Id
    run_type: RunType
    cause_id: Id


class AccountParked(RecordFact, topic="account.parked.v1", key="account_id"):
    """A bill that would break an invariant was not issued; the account can be rerun once the reason is mended.

    `is_final`: this cut will never be billed, however often it comes again; its charges go to the next cut of the account.
    """

    id: Id
    account_id: Id
    run_type: RunType
    cause_id: Id
    reason: Text
    is_final: bool = False


# Each request changes the state that the one before it left.
class BillStateRequested(RecordFact, topic="bill.state_requested.v1", key="account_id", ordered=True):
    """Somebody asks for another state of a bill; answered by BillStateChanged or BillStateRefused with this id."""

    id: Id
    bill_id: Id
    account_id: Id
    state: BillState
    requested_at: Instant


# The events of a bill tell its states in their order.
class BillStateChanged(RecordFact, topic="bill.state_changed.v1", key="account_id", ordered=True):
    """A bill moved on. `bill` is the whole bill afterwards."""

    id: Id
    request_id: Id
    account_id: Id
    from_state: BillState
    bill: BillIssued


class BillStateRefused(RecordFact, topic="bill.state_refused.v1", key="account_id"):
    """The transition is not a legal one; `unchanged` when the bill already was in that state."""

    id: Id
    request_id: Id
    bill_id: Id
    account_id: Id
    unchanged: bool = False
    reason: Text


class BillDocumentRequested(RecordFact, topic="bill.document_requested.v1", key="account_id"):
    """A bill's document is wanted; answered by BillDocumentRendered with this id.

    `is_anew`: where the document lacks glyphs for some of its texts, it is rendered again, for a font may be there by now.
    """

    id: Id
    bill_id: Id
    account_id: Id
    requested_at: Instant
    is_anew: bool = False


class BillDocumentRendered(RecordFact, topic="bill.document_rendered.v1", key="account_id"):
    """The document lies in GridFS (bucket `documents` of invoicing) under `document_id`."""

    id: Id
    request_id: Id
    bill_id: Id
    account_id: Id
    document_id: Id
    size_bytes: Count
