"""Charges: what accumulates between two bills, and the cut that closes them.

A charge is TMF's appliedCustomerBillingRate: one document per account, product, price, period and sequence.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field

from libs.contracts.adjustments import DiscountDue
from libs.contracts.bounded import Amount, BilledAmount, Count, CountChange, CurrencyCode, Denominator, Exact
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.money import RoundingMode
from libs.periods import Instant, Period


class ChargeKind(StrEnum):
    """What gave rise to a charge.

    discount, commitment, cap: made by the cut, negative or topping up. adjustment: what re-rating corrects after billing.
    """

    USAGE = "usage"
    RECURRING = "recurring"
    ONE_TIME = "oneTime"
    DISCOUNT = "discount"
    COMMITMENT = "commitment"
    CAP = "cap"
    ADJUSTMENT = "adjustment"


# What a cut makes of the charges that it closes.
MADE_BY_CUTS = (ChargeKind.DISCOUNT, ChargeKind.COMMITMENT, ChargeKind.CAP)


class ChargeState(StrEnum):
    """open: still growing; closed: cut, its amount rounded; billed: on an issued bill.

    returned: its cut will never be billed, so the next cut of the account closes it again. It does not grow either.
    """

    OPEN = "open"
    CLOSED = "closed"
    RETURNED = "returned"
    BILLED = "billed"


# What the next cut of the account takes.
UNBILLED = (ChargeState.OPEN, ChargeState.RETURNED)


class AppliedTax(Record):
    """Tax of one category. `rate` is a percentage: 21 means 21 %. `on` names other taxes that are taxed by it as well."""

    category: Id
    rate: Amount
    amount: BilledAmount
    on: tuple[Id, ...] = ()


class Tier(Record):
    """A step of a price that is counted over a month: `amount` for `per` units of the quantity.

    It ends at `up_to`, which is part of it; the last one has no end. Blocks of `increment`, once started, count whole.
    `flat` is due once the tier is reached.
    """

    up_to: Exact | None = None
    amount: Amount
    per: Exact
    increment: Exact | None = None
    flat: Amount = Decimal(0)


class ChargeTiers(Record):
    """How the quantity of a charge becomes money, where that depends on all usage of the month together.

    `counted_before` is what earlier sequences of the month used up already, and `usage_count_before` how many usages that was: what
    a first tier asks even for nothing is due once. A charge that was opened when these were not counted yet does not say.
    """

    model: Literal["graduated", "volume", "package"]
    tiers: tuple[Tier, ...]
    free_quantity: Exact = Decimal(0)
    counted_before: Exact = Decimal(0)
    usage_count_before: Count | None = None


class LineRounding(Record):
    """How a charge becomes a bill line where its book says so. Without `decimals`: to the currency's minor unit.

    `point`: each line is rounded by itself, or the sum of those that one cut closes, which they then add up to.
    """

    point: Literal["line", "bill"] = "line"
    mode: RoundingMode = RoundingMode.HALF_UP
    decimals: Count | None = None


class Charge(Record):
    """The stored document of a charge (collection `charges` of rating).

    `sums` holds the exact amount as numerators per denominator: {"6000": 1241} is 1241/6000. Present while open and
    after. A charge with `tiers` owes as well what they make of its quantity: `libs.pricing.charge_amount` adds both.
    `amount` is the bill line: the exact amount rounded once, as `line_rounding` says or else half up to the currency's
    minor unit; present from the cut on. One that a cut returned keeps it.
    `is_tax_included`, decided when it is opened: its price includes the taxes, which the bill then takes out.
    `corrected_from`, of a correction only: when the fee that it corrects begins, with which it is discounted.
    `opened_at` never changes: it is TMF's date, and the order of lists (newest first, then by id).
    """

    id: Id
    account_id: Id
    product_id: Id
    product_name: Text
    offering_id: Id
    price_id: Id
    kind: ChargeKind
    description: Text
    usage_type: Id | None = None
    unit: Id | None = None
    currency: CurrencyCode
    period: Period
    sequence: Count
    state: ChargeState = ChargeState.OPEN
    usage_count: CountChange = 0
    quantity: Exact = Decimal(0)
    sums: dict[Denominator, Exact] = Field(default_factory=dict)
    tiers: ChargeTiers | None = None
    line_rounding: LineRounding | None = None
    amount: Amount | None = None
    cut_id: Id | None = None
    bill_id: Id | None = None
    applied_taxes: tuple[AppliedTax, ...] = ()
    tax_category: Id | None = None
    is_tax_included: bool = False
    corrected_from: Instant | None = None
    opened_at: Instant | None = None
    updated_at: Instant


class ChargeLine(Record):
    """A closed charge as it goes on a bill; `amount` is rounded to the minor unit.

    It excludes taxes, unless `is_tax_included`; but then, too, on a bill, which has taken them out.
    """

    charge_id: Id
    product_id: Id
    product_name: Text
    price_id: Id
    kind: ChargeKind
    description: Text
    usage_type: Id | None = None
    unit: Id | None = None
    usage_count: CountChange
    quantity: Exact
    period: Period
    amount: Amount
    tax_category: Id | None = None
    is_tax_included: bool = False

    @classmethod
    def of(cls, charge: Charge) -> Self:
        """The line of a charge whose amount is rounded by now."""
        assert charge.amount is not None, f"charge {charge.id} was not closed"
        return cls(
            charge_id=charge.id,
            product_id=charge.product_id,
            product_name=charge.product_name,
            price_id=charge.price_id,
            kind=charge.kind,
            description=charge.description,
            usage_type=charge.usage_type,
            unit=charge.unit,
            usage_count=charge.usage_count,
            quantity=charge.quantity,
            period=charge.period,
            amount=charge.amount,
            tax_category=charge.tax_category,
            is_tax_included=charge.is_tax_included,
        )


class RunType(StrEnum):
    """TMF678 customerBill.runType."""

    ON_CYCLE = "onCycle"
    OFF_CYCLE = "offCycle"


# Fees and allowances of a period follow from the cut before it.
class PeriodCut(RecordFact, topic="period.cut.v1", key="account_id", ordered=True):
    """Close what an account owes. `id` is derived from its cause (bill run and account, or on-demand request).

    onCycle: `period` is billed: every open charge that starts before its end is closed, and recurring fees are added.
    offCycle: no `period`: every charge open at `requested_at` is closed as it stands.
    `account_closed_at`: there are no fees after it, but of products that have an end of their own.
    """

    id: Id
    account_id: Id
    run_type: RunType
    period: Period | None = None
    cause_id: Id
    requested_at: Instant
    account_closed_at: Instant | None = None


class UnchargedFee(Record):
    """A fee of a product that was due and that no cut charges: so many of its periods, from the first to the end of the last."""

    product_id: Id
    price_id: Id
    period: Period
    period_count: Count


class ChargesClosed(RecordFact, topic="charges.closed.v1", key="account_id"):
    """What a cut closed; no lines means that nothing was owed. Its `id` is the cut's.

    Discounts before tax are lines like others; `discounts_after_tax` are for the bill to compute. `fees_not_charged` are too old for
    any cut to charge them.
    """

    id: Id
    account_id: Id
    run_type: RunType
    period: Period
    cause_id: Id
    currency: CurrencyCode
    closed_at: Instant
    lines: tuple[ChargeLine, ...] = ()
    discounts_after_tax: tuple[DiscountDue, ...] = ()
    fees_not_charged: tuple[UnchargedFee, ...] = ()

    def answered_cut(self, account_closed_at: datetime | None) -> PeriodCut:
        """Return the cut that this answers, as far as the answer and the end of the account tell it."""
        return PeriodCut(
            id=self.id,
            account_id=self.account_id,
            run_type=self.run_type,
            period=self.period if self.run_type is RunType.ON_CYCLE else None,
            cause_id=self.cause_id,
            requested_at=self.closed_at,
            account_closed_at=account_closed_at,
        )


class FeesNotCharged(RecordFact, topic="fees.not_charged.v1", key="account_id"):
    """A cut found fees that are too old for any cut to charge them. Its `id` is the cut's; `fees` are some where there are many."""

    id: Id
    account_id: Id
    run_type: RunType
    cause_id: Id
    fees: tuple[UnchargedFee, ...]


class CutRefused(RecordFact, topic="period.cut_refused.v1", key="account_id"):
    """A cut that rating cannot make, for example because it never heard of the account."""

    id: Id
    account_id: Id
    run_type: RunType
    cause_id: Id
    reason: Text
