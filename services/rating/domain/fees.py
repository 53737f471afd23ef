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
    """A period of a fee that the cut looks at: what is owed for it by all that is known now, and the ids of its charges.

    The last of `correction_ids` is the cut's own. `is_due`: to be charged unless it is already; `replaces`: to be charged when a fee
    for the same days, paid in advance, is corrected; `is_cut_short`: something happened within it.
    """

    tenure: Tenure
    price: RecurringPrice
    fee_period: FeePeriod
    whole: Period
    fee: Fee | None
    id: str
    correction_ids: tuple[str, ...]
    is_due: bool
    replaces: bool
    is_cut_short: bool


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
        corrected: list[Period] = []
        for candidate in _candidates(account, product, period, books):
            if candidate.id in charged:
                asked = _correction(candidate, charged)
                if candidate.is_cut_short and candidate.correction_ids:
                    corrected.append(candidate.whole)
            elif candidate.is_due or (candidate.replaces and any(_overlap(candidate.whole, paid) for paid in corrected)):
                asked = _fee(candidate)
            else:
                asked = None
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
        subscription = tenure.subscription
        prices = FeePrices(books, account, product, tenure)
        prices.refuse_other_currencies(billed)
        looked_at = _looked_at(tenure, billed)
        for kind in prices.met_at((*looked_at, billed.end)):
            for fee_period in periods_between(kind, subscription, looked_at[0], next_bill_at, zone):
                price = prices.of_period(kind, fee_period)
                if price is None:
                    continue
                whole = fee_period.lived(zone)
                fee = fee_of(price, subscription, fee_period, zone)
                in_advance, is_past = price.charged is Charged.ADVANCE, whole.end <= billed.start
                is_cut_short = _is_cut_short(subscription, whole)
                candidate = _Candidate(
                    tenure,
                    price,
                    fee_period,
                    whole,
                    fee,
                    recurring_charge_id(account.id, product.id, price.price_id, _label(fee_period, tenure)),
                    _correction_ids(account, product, price, fee_period, tenure, billed) if in_advance else (),
                    fee is not None and is_due(price, subscription, fee_period, billed, next_bill_at, zone),
                    fee is not None and in_advance and is_past and tenure.number > 0,
                    is_cut_short,
                )
                if candidate.is_due or candidate.replaces or (in_advance and (is_cut_short or not is_past)):
                    yield candidate


def _fee(candidate: _Candidate) -> Asked | None:
    fee = candidate.fee
    if fee is None:
        return None
    return Asked(candidate.id, candidate.tenure.offering_id, candidate.price, fee.description, fee.period, fee.exact)


def _correction(candidate: _Candidate, charged: Mapping[str, Fraction]) -> Asked | None:
    """What was charged for the period is made what is owed for it now, once at most by each month's cut."""
    if not candidate.correction_ids or candidate.correction_ids[-1] in charged:
        return None
    before = sum((charged[id] for id in (candidate.id, *candidate.correction_ids) if id in charged), Fraction(0))
    fee, price, period = candidate.fee, candidate.price, candidate.whole
    difference = correction(before, fee.exact if fee is not None else Fraction(0))
    if difference == 0:
        return None
    description = f"{price.description}: {'credit' if difference < 0 else 'correction'}"
    if fee is not None:
        description += f" ({fee.told or 'whole period'}{', ' if ',' in fee.told else ' '}due)"
        if fee.period.end < period.end:
            period = Period(start=fee.period.end, end=period.end)
    return Asked(candidate.correction_ids[-1], candidate.tenure.offering_id, price, description, period, difference)


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


def _label(fee_period: FeePeriod, tenure: Tenure) -> str:
    """Names a period within ids: by its first day, and by the number of the offering where there was another before it."""
    return f"{fee_period.first}.{tenure.number}" if tenure.number else str(fee_period.first)


def _correction_ids(
    account: Account, product: Product, price: RecurringPrice, fee_period: FeePeriod, tenure: Tenure, billed: Period
) -> tuple[str, ...]:
    """One for each month whose cut may have corrected the period, in order, the billed one last."""
    zone, label = account.time_zone, _label(fee_period, tenure)
    month = month_containing(month_containing(fee_period.lived(zone).start, zone).start - MOMENT, zone)
    labels = []
    while month.start < billed.start:
        labels.append(label_of(month, zone))
        month = month_containing(month.end, zone)
    labels.append(label_of(billed, zone))
    return tuple(fee_correction_id(account.id, product.id, price.price_id, label, cut_label) for cut_label in labels)


def _overlap(one: Period, other: Period) -> bool:
    return one.start < other.end and other.start < one.end
