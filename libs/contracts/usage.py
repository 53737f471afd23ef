"""Usage: what mediation reports, what rating answers."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from libs.contracts.fact import Fact, Id, Text
from libs.periods import Instant

# Enough for an exabyte in bytes or 30 million years in seconds; beyond it a counter went wrong.
QUANTITY_MAX = Decimal(10) ** 18


class UsageReceived(Fact, topic="usage.received.v1", key="identifier", partitions=8):
    """One use of a service as the network saw it: a call, a message, a data session.

    Mediation knows a service identifier (MSISDN in E.164, user name, SIM), never an account.
    `quantity` counts `unit`s: s, byte, message, event.
    """

    id: Id
    identifier: Id
    usage_type: Id
    started_at: Instant
    quantity: Decimal
    unit: Id
    called_number: Annotated[Text, Field(max_length=64)] | None = None
    characteristics: dict[Id, Annotated[Text, Field(max_length=256)]] = Field(default_factory=dict, max_length=64)


class UsageRated(Fact, topic="usage.rated.v1", key="account_id", partitions=8):
    """A usage with its price. Its exact amount is `numerator / denominator` in `currency`, not yet rounded."""

    id: Id
    identifier: Id
    usage_type: Id
    started_at: Instant
    quantity: Decimal
    unit: Id
    called_number: str | None = None
    characteristics: dict[str, str] = Field(default_factory=dict)
    account_id: Id
    product_id: Id
    price_id: Id
    charge_id: Id
    charged_quantity: Decimal
    numerator: int
    denominator: Annotated[int, Field(gt=0)]
    currency: Id
    rate_book: Id


class RejectionReason(StrEnum):
    """Why a usage waits in suspense."""

    MALFORMED = "malformed"
    UNKNOWN_PRODUCT = "unknown-product"
    UNKNOWN_ACCOUNT = "unknown-account"
    NO_PRICE = "no-price"
    WRONG_CURRENCY = "wrong-currency"
    WRONG_UNIT = "wrong-unit"
    NEGATIVE_QUANTITY = "negative-quantity"
    ABSURD_QUANTITY = "absurd-quantity"
    IN_THE_FUTURE = "in-the-future"
    TOO_OLD = "too-old"
    DUPLICATE_ID = "duplicate-id"


class UsageRejected(Fact, topic="usage.rejected.v1", key="suspense_id"):
    """A usage that could not be priced; it waits in suspense under `suspense_id` until retried or discarded."""

    suspense_id: Id
    usage_id: str | None = None
    reason: RejectionReason
    detail: str
    usage: UsageReceived | None = None


class SuspenseRetryRequested(Fact, topic="suspense.retry_requested.v1", key="id"):
    """An operative asks to rate suspended usages again: one by id, or all of a reason, or all.

    Rating works through many in steps: it asks itself for what comes `after` a suspense id, with the counts so far.
    """

    id: Id
    suspense_id: str | None = None
    reason: RejectionReason | None = None
    after: str = ""
    rated_count: int = 0
    suspended_count: int = 0


class SuspenseDiscardRequested(Fact, topic="suspense.discard_requested.v1", key="id"):
    """An operative gives up a suspended usage, saying why."""

    id: Id
    suspense_id: Id
    note: Text


class SuspenseResolved(Fact, topic="suspense.resolved.v1", key="id"):
    """How a request to retry or discard ended; `id` is the request's. `refusal` says why nothing could be done."""

    id: Id
    rated_count: int = 0
    suspended_count: int = 0
    discarded_count: int = 0
    refusal: Text | None = None
