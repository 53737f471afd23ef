"""Usage: what mediation reports, what rating answers."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import msgspec

from libs.contracts.bounded import Count, Total
from libs.contracts.fact import Id, RecordFact, Text
from libs.contracts.hot_fact import HotFact, HotId
from libs.exact_decimal import KEPT, parse_decimal
from libs.periods import valid_instant

# Enough for an exabyte in bytes or 30 million years in seconds; beyond it a counter went wrong.
QUANTITY_MAX = Decimal(10) ** 18


CalledNumber = Annotated[str, msgspec.Meta(max_length=64)]
Characteristics = Annotated[dict[HotId, Annotated[str, msgspec.Meta(max_length=256)]], msgspec.Meta(max_length=64)]


class _Written(msgspec.Struct, gc=False):
    """The quantity of a usage as it stands in the message: a decoded one does not tell `1_000` from `1000`."""

    quantity: msgspec.Raw


_written_quantity = msgspec.json.Decoder(_Written).decode
_plain_quantity = re.compile(rb'"quantity": ?"?[0-9]{1,18}["},]').search


class UsageReceived(HotFact, topic="usage.received.v1", key="identifier", partitions=8):
    """One use of a service as the network saw it: a call, a message, a data session.

    Mediation knows a service identifier (MSISDN in E.164, user name, SIM), never an account.
    `quantity` counts `unit`s: s, byte, message, event. `started_at` is RFC 3339 with seconds and an offset, rounded to
    microseconds and cut to milliseconds.
    """

    id: HotId
    identifier: HotId
    usage_type: HotId
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    quantity: Decimal
    unit: HotId
    called_number: CalledNumber | None = None
    characteristics: Characteristics = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        # Nearly all come as they should be, and a call costs as much as the rest of this.
        if self.started_at.tzinfo is not UTC or self.started_at.microsecond:
            msgspec.structs.force_setattr(self, "started_at", valid_instant(self.started_at))

    def check_message(self, body: bytes) -> None:
        """Raises ValueError unless the quantity is written in ASCII digits, no more than MongoDB keeps."""
        # Nearly all are written like this, and to decode the text itself takes four times as long.
        if body.count(b'"quantity"') == 1 and _plain_quantity(body):
            return
        written = bytes(_written_quantity(body).quantity)
        if written.startswith(b'"'):
            parse_decimal(written[1:-1].decode(), KEPT)
        else:
            KEPT.check(self.quantity)


class RatedPart(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What one price asks for its part of a usage that was split, and the charge that counts it."""

    price_id: HotId
    charge_id: HotId
    charged_quantity: Decimal
    numerator: int
    denominator: Annotated[int, msgspec.Meta(gt=0)]
    rate_book: HotId


class AllowanceUse(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What a usage took from a bucket: `quantity / denominator` of the bucket's unit, exactly; the unit may be a currency."""

    allowance_id: HotId
    bucket_id: HotId
    quantity: Decimal
    denominator: Annotated[int, msgspec.Meta(gt=0)] = 1


class UsageRated(HotFact, topic="usage.rated.v1", key="account_id", partitions=8):
    """A usage with its price. Its exact amount is `numerator / denominator` in `currency`, not yet rounded.

    `parts` are there when it was split over several prices or charges: then price, charge, book and charged quantity are
    those of the first part, numerator and denominator those of the whole. What `allowances` paid is not in the amount.
    Where a price counts the month (its charge has tiers), the usage has no amount of its own: the numerator is 0.
    """

    id: HotId
    identifier: HotId
    usage_type: HotId
    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    quantity: Decimal
    unit: HotId
    account_id: HotId
    product_id: HotId
    price_id: HotId
    charge_id: HotId
    charged_quantity: Decimal
    numerator: int
    denominator: Annotated[int, msgspec.Meta(gt=0)]
    currency: HotId
    rate_book: HotId
    called_number: CalledNumber | None = None
    characteristics: Characteristics = msgspec.field(default_factory=dict)
    parts: tuple[RatedPart, ...] = ()
    allowances: tuple[AllowanceUse, ...] = ()


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
    BEYOND_LIMITS = "beyond-limits"
    INVALID_NUMBER = "invalid-number"
    IN_THE_FUTURE = "in-the-future"
    TOO_OLD = "too-old"
    DUPLICATE_ID = "duplicate-id"


class UsageRejected(RecordFact, topic="usage.rejected.v1", key="suspense_id"):
    """A usage that could not be priced; it waits in suspense under `suspense_id` until retried or discarded.

    `waits_for` names what lets rating retry it by itself when it arrives: `identifier:…`, `account:…`, `offering:…`.
    """

    suspense_id: Id
    usage_id: Id | None = None
    reason: RejectionReason
    detail: Text
    usage: UsageReceived | None = None
    waits_for: tuple[Text, ...] = ()


class SuspenseRetryRequested(RecordFact, topic="suspense.retry_requested.v1", key="id"):
    """A request to rate suspended usages again: one by id, or all of a reason, or all that wait for something, or all.

    Rating works through many in steps: it asks itself for what comes `after` a suspense id, with the counts so far.
    `beyond_limits` releases one usage from the plausibility limits; `note` says why and is kept with the entry.
    """

    id: Id
    suspense_id: Id | None = None
    reason: RejectionReason | None = None
    waits_for: tuple[Text, ...] = ()
    beyond_limits: bool = False
    note: Text | None = None
    after: Text = ""
    rated_count: Count = 0
    suspended_count: Count = 0


class SuspenseDiscardRequested(RecordFact, topic="suspense.discard_requested.v1", key="id"):
    """An operative gives up a suspended usage, saying why."""

    id: Id
    suspense_id: Id
    note: Text


class SuspenseResolved(RecordFact, topic="suspense.resolved.v1", key="id"):
    """How a request to retry or discard ended; `id` is the request's. `refusal` says why nothing could be done."""

    id: Id
    rated_count: Total = 0
    suspended_count: Total = 0
    discarded_count: Total = 0
    refusal: Text | None = None
