"""Recurring fees at a cut: one charge for each product, price and period of it, prorated where the product was not active throughout.

A fee in arrears is charged once and stays. One in advance is charged before its period: when a product ends, is suspended or takes
another offering within it, the next cut charges the difference, mostly a credit. Fractions stay exact until the cut rounds them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction

from libs.billing.dates import next_bill
from libs.contracts import Charge, ProductStatus
from libs.periods import Period, month_containing
from libs.pricing import RateBooks, RecurringPrice
from libs.pricing.recurring import Fee, correction, fee_of, is_due, periods_between
from libs.pricing.recurring_period import FeePeriod
from libs.pricing.recurring_price import Charged
from libs.pricing.recurring_share import Subscription
from services.rating.domain.charge_ids import fee_correction_id, recurring_charge_id
from services.rating.domain.fee_charges import Asked, fee_charge
from services.rating.domain.fee_prices import FeePrices, WrongFeeCurrency
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of
from services.rating.domain.tenures import Tenure, tenures_of

__all__ = ["CHARGED", "WrongFeeCurrency", "ending_with", "fee_ids", "recurring_fees"]

CHARGED = frozenset({ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE, ProductStatus.TERMINATED})
# How late an end, a suspension or a change may be heard and still correct what was paid in advance: by the longest usual fee.
CORRECTED_BACK = timedelta(days=366)
MONTH = timedelta(days=28)
MOMENT = timedelta(milliseconds=1)
NOTHING_CHARGED: Mapping[str, Fraction] = {}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A period of a fee that the cut looks at, and the ids of what is charged for it; the last of `correction_ids` is the cut's own.

    `is_due`: to be charged unless it is already.
    """

    tenure: Tenure
    price: RecurringPrice
    fee_period: FeePeriod
    id: str
    correction_ids: tuple[str, ...]
    is_due: bool


def recurring_fees(
    account: Account,
    products: Iterable[Product],
    period: Period,
    books: RateBooks,
    now: datetime,
    charged: Mapping[str, Fraction] = NOTHING_CHARGED,
) -> list[Charge]:
    """The fees that fall due with the bill of a period, and the corrections of earlier ones, as open charges. Raises WrongFeeCurrency.

    `charged` has the exact amounts of those of `fee_ids` that are charged already: none of them comes again.
    """
    charges = []
    for product in products:
        for candidate in _candidates(account, product, period, books):
            is_charged = candidate.id in charged
            if not (candidate.correction_ids if is_charged else candidate.is_due):
                continue
            fee = fee_of(candidate.price, candidate.tenure.subscription, candidate.fee_period, account.time_zone)
            asked = _correction(candidate, fee, charged, account.time_zone) if is_charged else _fee(candidate, fee)
            if asked is not None:
                charges.append(fee_charge(account, product, asked, now))
    return charges


def fee_ids(account: Account, products: Iterable[Product], period: Period, books: RateBooks) -> list[str]:
    """The charges, made or not, on which the fees of a period depend. Raises WrongFeeCurrency."""
    return [
        id
        for product in products
        for candidate in _candidates(account, product, period, books)
        for id in (candidate.id, *candidate.correction_ids)
    ]


def ending_with(closed_at: datetime, products: Iterable[Product]) -> list[Product]:
    """The products of an account that was closed: those without an end of their own end with it."""
    return [replace(product, ended_at=closed_at) if product.ended_at is None else product for product in products]


def _candidates(account: Account, product: Product, billed: Period, books: RateBooks) -> Iterator[_Candidate]:
    if product.status not in CHARGED:
        return
    zone, next_bill_at = account.time_zone, next_bill(billed, account.time_zone)
    for tenure in tenures_of(product):
        prices = FeePrices(books, account, product, tenure)
        prices.refuse_other_currencies(billed)
        looked_at = _looked_at(tenure, billed)
        for kind in prices.met_at((*looked_at, billed.end)):
            for fee_period in periods_between(kind, tenure.subscription, looked_at[0], next_bill_at, zone):
                price = prices.of_period(kind, fee_period)
                if price is not None:
                    candidate = _candidate(account, product, tenure, price, fee_period, billed, next_bill_at)
                    if candidate is not None:
                        yield candidate


def _candidate(
    account: Account,
    product: Product,
    tenure: Tenure,
    price: RecurringPrice,
    fee_period: FeePeriod,
    billed: Period,
    next_bill_at: datetime,
) -> _Candidate | None:
    """None when the cut has nothing to do with the period."""
    zone, subscription, whole = account.time_zone, tenure.subscription, fee_period.lived(account.time_zone)
    in_advance, is_past = price.charged is Charged.ADVANCE, whole.end <= billed.start
    due = is_due(price, subscription, fee_period, billed, next_bill_at, zone) or (
        in_advance and is_past and _was_passed_over(tenure, whole, account)
    )
    if not (due or (in_advance and (_is_cut_short(subscription, whole) or not is_past))):
        return None
    label = f"{fee_period.first}.{tenure.number}" if tenure.number else str(fee_period.first)
    corrections = [
        fee_correction_id(account.id, product.id, price.price_id, label, cut_label)
        for cut_label in (_months_that_correct(whole, billed, account) if in_advance else ())
    ]
    id = recurring_charge_id(account.id, product.id, price.price_id, label)
    return _Candidate(tenure, price, fee_period, id, tuple(corrections), due)


def _fee(candidate: _Candidate, fee: Fee | None) -> Asked | None:
    if fee is None:
        return None
    return Asked(candidate.id, candidate.tenure.offering_id, candidate.price, fee.description, fee.period, fee.exact)


def _correction(candidate: _Candidate, fee: Fee | None, charged: Mapping[str, Fraction], zone: str) -> Asked | None:
    """What was charged for the period is made what is owed for it now, once at most by each month's cut."""
    if candidate.correction_ids[-1] in charged:
        return None
    before = sum((charged[id] for id in (candidate.id, *candidate.correction_ids) if id in charged), Fraction(0))
    difference = correction(before, fee.exact if fee is not None else Fraction(0))
    if difference == 0:
        return None
    price, period = candidate.price, candidate.fee_period.lived(zone)
    description = f"{price.description}: {'credit' if difference < 0 else 'correction'}"
    if fee is not None:
        description += f" ({fee.told or 'whole period'}{', ' if ',' in fee.told else ' '}due)"
        if fee.period.end < period.end:
            period = Period(start=fee.period.end, end=period.end)
    begins_at = _begins_at(candidate, zone)
    return Asked(candidate.correction_ids[-1], candidate.tenure.offering_id, price, description, period, difference, begins_at)


def _begins_at(candidate: _Candidate, zone: str) -> datetime:
    """When the fee begins that is corrected, which was charged before anything was known to end it or to suspend it."""
    unended = replace(candidate.tenure.subscription, end=None, suspensions=())
    fee = fee_of(candidate.price, unended, candidate.fee_period, zone)
    return fee.period.start if fee is not None else candidate.fee_period.lived(zone).start


def _looked_at(tenure: Tenure, billed: Period) -> list[datetime]:
    """Instants from the first one that the cut looks at: those of the billed period, or further back where something happened."""
    since = billed.start - CORRECTED_BACK
    subscription = tenure.subscription
    has_ended = subscription.end is not None and subscription.end > since
    was_suspended = any(end is None or end > since for _, end in subscription.suspensions)
    if not (has_ended or was_suspended or (tenure.number > 0 and subscription.start > since)):
        return [billed.start]
    return [since + number * MONTH for number in range((billed.start - since) // MONTH + 1)] + [billed.start]


def _is_cut_short(subscription: Subscription, whole: Period) -> bool:
    if subscription.end is not None and subscription.end < whole.end:
        return True
    return any(start < whole.end and (end is None or end > whole.start) for start, end in subscription.suspensions)


def _was_passed_over(tenure: Tenure, whole: Period, account: Account) -> bool:
    """Whether a cut looked at a past period and did not charge it: the product seemed to be suspended still, or to have another offering,
    and it is told only now what it was.
    """
    subscription = tenure.subscription
    is_told_anew = tenure.number > 0 or any(end is not None and start < whole.end for start, end in subscription.suspensions)
    if not (is_told_anew and subscription.lasts_into(whole)):
        return False
    first, last = _first_to_charge(whole, account), label_of(month_containing(whole.end - MOMENT, account.time_zone), account.time_zone)
    return any(first <= label <= last for label in account.cuts)


def _months_that_correct(whole: Period, billed: Period, account: Account) -> list[str]:
    """The labels of the months whose cuts may have corrected a period, whichever was made first; the billed one comes last."""
    first, own = _first_to_charge(whole, account), label_of(billed, account.time_zone)
    return [*sorted(label for label in account.cuts if label >= first and label != own), own]


def _first_to_charge(whole: Period, account: Account) -> str:
    """The label of the month before the one in which a period begins: its cut charges it in advance."""
    begins_in = month_containing(whole.start, account.time_zone)
    return label_of(month_containing(begins_in.start - MOMENT, account.time_zone), account.time_zone)
