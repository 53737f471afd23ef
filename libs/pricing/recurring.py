"""The fees of a billing period: which periods of a recurring price fall due in it, and what each of them costs exactly.

In arrears a fee is due with the bill of the period in which its own period ends, or its product does. In advance it is due
with the last bill before its own period begins; the first bill of a product has the period that is under way as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.periods import Period, local_date
from libs.pricing.recurring_period import FeePeriod, fee_periods
from libs.pricing.recurring_price import Charged, RecurringPrice
from libs.pricing.recurring_share import Subscription, share_of


@dataclass(frozen=True, slots=True)
class Fee:
    """What a price asks of a subscription for one of its periods. `exact` is not rounded; `description` tells the share."""

    price: RecurringPrice
    fee_period: FeePeriod
    period: Period
    exact: Fraction
    description: str


def fee_of(price: RecurringPrice, subscription: Subscription, fee_period: FeePeriod, zone_name: str) -> Fee | None:
    """The fee of one period; None when nothing is due for it."""
    share = share_of(price, subscription, fee_period, zone_name)
    if share is None:
        return None
    description = f"{price.description} ({share.told})" if share.told else price.description
    return Fee(price, fee_period, share.period, Fraction(price.amount) * share.fraction, description)


def periods_between(
    price: RecurringPrice, subscription: Subscription, start: datetime, end: datetime, zone_name: str
) -> Iterator[FeePeriod]:
    """The periods of a price that have a day between two instants."""
    activated_on = local_date(subscription.activated_at, zone_name)
    return fee_periods(price, activated_on, local_date(start, zone_name), local_date(end, zone_name))


def periods_due(
    price: RecurringPrice, subscription: Subscription, billed: Period, next_bill_at: datetime, zone_name: str
) -> Iterator[FeePeriod]:
    """The periods that fall due with the bill of `billed`, whether anything is owed for them or not.

    `next_bill_at` is when the period after it ends. A subscription that has not begun by the end of `billed` owes nothing yet.
    """
    if subscription.start >= billed.end:
        return
    match price.charged:
        case Charged.ADVANCE:
            yield from periods_between(price, subscription, billed.start, next_bill_at, zone_name)
        case Charged.ARREARS:
            ended = subscription.end is not None and subscription.end <= billed.end
            for fee_period in periods_between(price, subscription, billed.start, billed.end, zone_name):
                if ended or fee_period.beyond <= local_date(billed.end, zone_name):
                    yield fee_period


def correction(charged: Fraction, due: Fraction, adjusted: Fraction = Fraction(0)) -> Fraction:
    """What a charge for a period that was paid in advance lacks, negative for a credit: never more than is left of it.

    `adjusted` is what was already taken off it for another reason, a negative amount.
    """
    return max(due - charged, -(charged + adjusted))
