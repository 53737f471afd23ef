"""The fees of a billing period: which periods of a recurring price fall due in it, and what each of them costs exactly.

In arrears a fee is due with the bill of the period in which its own period ends, or its product does. In advance it is due
with the last bill before its own period begins; the first bill of a product has the period that is under way as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from libs.periods import MOMENT, Period, local_date
from libs.pricing.recurring_period import FeePeriod, fee_periods
from libs.pricing.recurring_price import Charged, RecurringPrice
from libs.pricing.recurring_share import Subscription, share_of


@dataclass(frozen=True, slots=True)
class Fee:
    """The fee of a subscription for one period of a price. `exact` is not rounded. `told` is the prorated share in words, if it is one."""

    price: RecurringPrice
    fee_period: FeePeriod
    period: Period
    exact: Fraction
    told: str

    @property
    def description(self) -> str:
        """Return the text of the bill line."""
        return f"{self.price.description} ({self.told})" if self.told else self.price.description


def fee_of(price: RecurringPrice, subscription: Subscription, fee_period: FeePeriod, zone_name: str) -> Fee | None:
    """The fee of one period; None when nothing is due for it."""
    share = share_of(price, subscription, fee_period, zone_name)
    if share is None:
        return None
    return Fee(price, fee_period, share.period, Fraction(price.amount) * share.fraction, share.told)


def periods_between(
    price: RecurringPrice, subscription: Subscription, start: datetime, end: datetime, zone_name: str
) -> Iterator[FeePeriod]:
    """Return the periods of a price that have a day between two instants. The day on which `end` falls counts if `end` is not its start."""
    activated_on = local_date(subscription.activated_at, zone_name)
    beyond = local_date(end - MOMENT, zone_name) + timedelta(days=1)
    periods = fee_periods(price, activated_on, local_date(start, zone_name), beyond)
    return (fee_period for fee_period in periods if fee_period.is_lived(zone_name))


def is_due(
    price: RecurringPrice, subscription: Subscription, fee_period: FeePeriod, billed: Period, next_bill_at: datetime, zone_name: str
) -> bool:
    """Return whether a period falls due with the bill of `billed`. `next_bill_at` is the end of the period after it.

    A subscription that has not begun by the end of `billed` owes nothing yet.
    """
    whole = fee_period.lived(zone_name)
    if subscription.start >= billed.end or whole.end <= billed.start or not subscription.lasts_into(whole):
        return False
    match price.charged:
        case Charged.ADVANCE:
            return whole.start < next_bill_at
        case Charged.ARREARS:
            ended = subscription.end is not None and subscription.end <= billed.end
            return whole.end <= billed.end or (ended and whole.start < billed.end)


def correction(charged: Fraction, due: Fraction, adjusted: Fraction = Fraction(0)) -> Fraction:
    """Return the correction of a charge that was paid in advance. A credit is negative and never more than is left of the charge.

    `adjusted` is what was already taken off it for another reason, a negative amount.
    """
    return max(due - charged, -(charged + adjusted))
