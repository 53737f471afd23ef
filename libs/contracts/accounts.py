"""Billing accounts and the products they pay for, as every service but the gateway needs them."""

from enum import StrEnum

from libs.contracts.bounded import CurrencyCode, Int64, Revision
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.periods import Instant


class AccountState(StrEnum):
    """Lifecycle of a billing account; `closed` is final."""

    DEFINED = "defined"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PENDING_CLOSED = "pendingClosed"
    CLOSED = "closed"


class PostalAddress(Record):
    """Where the bill goes."""

    street: Text = ""
    city: Text = ""
    post_code: Text = ""
    state_or_province: Text = ""
    country: Text = ""


class AccountChanged(RecordFact, topic="account.changed.v1", key="id"):
    """The whole account after a change. `revision` grows by one with each change and decides which is newer.

    Fees of its products that begin before `billed_from` are not charged: somebody else billed them.
    """

    id: Id
    revision: Revision
    name: Text
    state: AccountState
    currency: CurrencyCode
    time_zone: Id
    cycle: Id
    tax_category: Id
    tax_exempt: bool = False
    payment_due_days: Int64 = 14
    address: PostalAddress = PostalAddress()
    email: Text | None = None
    related_party_id: Text | None = None
    related_party_name: Text | None = None
    billed_from: Instant | None = None
    changed_at: Instant


class ProductStatus(StrEnum):
    """TMF637 product status (the trailing blank of `aborted ` is the specification's own)."""

    CREATED = "created"
    PENDING_ACTIVE = "pendingActive"
    CANCELLED = "cancelled"
    ACTIVE = "active"
    PENDING_TERMINATE = "pendingTerminate"
    TERMINATED = "terminated"
    SUSPENDED = "suspended"
    ABORTED = "aborted "


class ServiceIdentifier(Record):
    """What mediation knows a service by, and when this product held it: numbers get ported and reused.

    `kind` is msisdn, userName or sim; `value` of an msisdn is E.164. Half-open; no end means still held.
    """

    kind: Id
    value: Id
    valid_from: Instant
    valid_to: Instant | None = None


class Suspension(Record):
    """When a product was suspended. Half-open; no end means that it still is."""

    start: Instant
    end: Instant | None = None


class FormerOffering(Record):
    """An offering that a product had before its present one, and until when: from the one before it, or from the product's start."""

    offering_id: Id
    until: Instant


class ProductChanged(RecordFact, topic="product.changed.v1", key="account_id"):
    """The whole product after a change. Products of a group share what their offerings share by group, whoever pays for them.

    Suspensions and former offerings are in the order of time; none is ever taken back.
    """

    id: Id
    revision: Revision
    account_id: Id
    offering_id: Id
    name: Text
    status: ProductStatus
    started_at: Instant
    ended_at: Instant | None = None
    identifiers: tuple[ServiceIdentifier, ...] = ()
    group_id: Id | None = None
    suspensions: tuple[Suspension, ...] = ()
    former_offerings: tuple[FormerOffering, ...] = ()
    changed_at: Instant
