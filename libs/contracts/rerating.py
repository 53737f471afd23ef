"""Re-rating: usage that was rated is priced anew, and what differs is reversed and replaced."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec
from pydantic import Field

from libs.contracts.bounded import Amount, Count, CountChange, CurrencyCode, Denominator, Exact, Total
from libs.contracts.charges import Charge, ChargeKind
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.contracts.hot_fact import HotFact, HotId
from libs.contracts.usage import AllowanceUse, RatedPart
from libs.periods import Instant, Period


class ChargePosting(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What re-rating one usage adds to one charge; what it takes away is negative."""

    charge_id: HotId
    usage_count: int
    quantity: Decimal
    numerator: int
    denominator: Annotated[int, msgspec.Meta(gt=0)]


class UsageRerated(HotFact, topic="usage.rerated.v1", key="account_id", partitions=8):
    """A usage has another price than before: `new` replaces `old`, from this request on. Nothing else of it changes.

    Both are in parts, one where the usage was not split; a part's amount is `numerator / denominator`, not yet rounded.
    `postings` carry the difference: to the charges themselves while they are open, else to corrections for the next bill.
    `number` counts the times that the usage was re-rated. What `allowances` paid when it was rated stays paid.
    """

    id: HotId
    request_id: HotId
    usage_id: HotId
    number: Annotated[int, msgspec.Meta(gt=0)]
    account_id: HotId
    product_id: HotId
    currency: HotId
    old: tuple[RatedPart, ...]
    new: tuple[RatedPart, ...]
    postings: tuple[ChargePosting, ...]
    rerated_at: Annotated[datetime, msgspec.Meta(tz=True)]
    allowances: tuple[AllowanceUse, ...] = ()


class ChargeMovement(Record):
    """What a request has moved so far to or from a charge; `opened` is the charge as it was made for it, when it was not there."""

    charge_id: Id
    usage_count: CountChange = 0
    quantity: Exact = Decimal(0)
    sums: dict[Denominator, Exact] = Field(default_factory=dict)
    opened: Charge | None = None


class RerateProgress(Record):
    """How far a request has come: all usage that started before `resume_at` is done."""

    resume_at: Instant
    usage_count: CountChange = 0
    rerated_count: Count = 0
    unpriced_count: Count = 0
    unpriced_example: Text | None = None
    movements: tuple[ChargeMovement, ...] = ()


# The last request decides the price.
class RerateRequested(RecordFact, topic="rerating.requested.v1", key="account_id", ordered=True):
    """Price the usage of an account that started within `period` anew, by the rate books of today.

    `rate_book`: by this one for the offerings that it has, whenever it takes effect. `by_present_offering`: by the offering
    that each product has now; else by the one by which the usage stands: it was rated by it, or re-rated by it when it was
    the present one. `dry_run` only tells what would differ.
    Rating works through many in steps: it asks itself for the rest, with the `progress` so far.
    """

    id: Id
    account_id: Id
    period: Period
    rate_book: Id | None = None
    by_present_offering: bool = False
    dry_run: bool = False
    requested_at: Instant
    progress: RerateProgress | None = None


class ChargeDifference(Record):
    """What a request does to a charge: its bill line `before` and `after`, as if it were cut then.

    A charge that was cut stays as it is: what differs is a charge of kind adjustment, which the next cut takes.
    """

    charge_id: Id
    product_id: Id
    price_id: Id
    kind: ChargeKind
    description: Text
    period: Period
    usage_count: CountChange
    quantity: Exact
    before: Amount
    after: Amount


class RerateCompleted(RecordFact, topic="rerating.completed.v1", key="account_id"):
    """How a request ended; `id` is the request's, and asked again it is answered the same.

    `unpriced_count` usages have no price any more and stay as they are; `unpriced_example` tells why of one. `before` and
    `after` add up the differences. `stopped_at`: so many charges differ that usage from then on is to be asked for by itself.
    `refusal` says why nothing was done.
    """

    id: Id
    account_id: Id
    period: Period
    dry_run: bool
    currency: CurrencyCode | None = None
    usage_count: Total = 0
    rerated_count: Total = 0
    unpriced_count: Total = 0
    unpriced_example: Text | None = None
    before: Amount = Decimal(0)
    after: Amount = Decimal(0)
    differences: tuple[ChargeDifference, ...] = ()
    stopped_at: Instant | None = None
    refusal: Text | None = None
    completed_at: Instant
