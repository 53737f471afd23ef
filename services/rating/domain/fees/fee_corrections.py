"""Corrections of recurring fees: the difference between what is owed for a period now and what was charged for it.

A cut corrects the fees of periods that are not over, and of periods of the last year for which the change of a product matters. A fee
whose price does not stand for its period any more is credited whole, and what stands instead is charged. Other periods stay as charged.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from libs.billing.dates import next_bill
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.recurring import correction, is_due
from services.rating.domain.fees.charged_as import owes_alike
from services.rating.domain.fees.fee_history import FeeHistory
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.paid_fee import PaidFee, paid_fees
from services.rating.domain.fees.product_fee import ProductFee, product_fees
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of

# How late a change of a product may become known and still correct fees: by the longest usual one.
CORRECTED_BACK = timedelta(days=366)
# Twice as far: what replaces a period that reaches into the year may end before it.
COMPARED_BACK = 2 * CORRECTED_BACK
NOTHING = Fraction(0)


def corrections(
    account: Account, products: Sequence[Product], billed: Period, books: RateBooks, history: FeeHistory
) -> Iterator[FeeToCharge]:
    """Yield what corrects the fees of changed products, besides the fees that fall due."""
    paid = paid_fees(history.charges, billed.start - CORRECTED_BACK) if products else {}
    for product in products:
        yield from _corrections_of(product, paid.get(product.id, {}), account, billed, books, history)


def _corrections_of(
    product: Product, paid_ever: Mapping[str, PaidFee], account: Account, billed: Period, books: RateBooks, history: FeeHistory
) -> Iterator[FeeToCharge]:
    zone, until = account.time_zone, next_bill(billed, account.time_zone)
    owed, before = _fees_compared(account, product, billed, books), _product_before(account, product, history)
    changed = _changed(owed, _fees_compared(account, before, billed, books), zone) if before and not owes_alike(product, before) else {}
    paid = {id: fee for id, fee in paid_ever.items() if fee.charge.period.start < until}
    unpaid = [fee for id, fee in owed.items() if id not in paid and id not in history.charged_ids]
    unowed = [fee.charge.period for id, fee in paid.items() if id not in owed and fee.exact]
    since = min([billed.start - CORRECTED_BACK, *(period.start for period in unowed)])
    cut_labels = {label_of(period, zone) for period in history.periods_cut}
    passed_over = [fee for fee in unpaid if _is_over(fee, billed, since) and (fee.id in changed or _was_cut(fee, cut_labels, zone))]
    due = [fee for fee in unpaid if is_due(fee.price, fee.tenure.subscription, fee.fee_period, billed, until, zone)]
    compared = changed.values() if before else [Period(start=billed.start - CORRECTED_BACK, end=billed.start)]
    touched = _grown([Period(start=billed.start, end=until), *compared], [*unowed, *(fee.whole for fee in (*due, *passed_over))])
    for id, fee in paid.items():
        if _overlaps(owed[id].whole if id in owed else fee.charge.period, touched):
            yield from _correction(product, fee, owed.get(id), label_of(billed, zone), zone)
    for late in passed_over:
        fee_owed = late.owed(zone) if _overlaps(late.whole, touched) else None
        if fee_owed is not None:
            yield fee_owed


def _product_before(account: Account, product: Product, history: FeeHistory) -> Product | None:
    """Return the product as it was charged last, or None where that is not known."""
    mark = history.charged_as.get(product.id)
    if mark is not None:
        return mark.product
    # Cuts before there were marks compared the year only of a product with one of these, and so does the first cut after them.
    has_news = product.ended_at is not None or product.suspensions or product.former_offerings
    return None if has_news or account.billed_until is not None else product


def _fees_compared(account: Account, product: Product, billed: Period, books: RateBooks) -> dict[str, ProductFee]:
    """Return the fees of the periods that a cut may correct, by the ids of their charges."""
    fees = product_fees(account, product, books, billed.start - COMPARED_BACK, next_bill(billed, account.time_zone))
    return {fee.id: fee for fee in fees}


def _changed(owed: Mapping[str, ProductFee], owed_before: Mapping[str, ProductFee], zone: str) -> dict[str, Period]:
    """Return the periods, by the ids of their fees, for which another amount is owed than before."""
    fees = {**owed_before, **owed}
    return {id: fee.whole for id, fee in fees.items() if _exact(owed.get(id), zone) != _exact(owed_before.get(id), zone)}


def _grown(touched: list[Period], waiting: list[Period]) -> list[Period]:
    """Add the waiting periods that overlap touched ones: a fee that begins or ceases touches all that it covers."""
    reached = touched
    while reached:
        within = [period for period in waiting if _overlaps(period, reached)]
        waiting = [period for period in waiting if not _overlaps(period, reached)]
        touched, reached = touched + within, within
    return touched


def _is_over(fee: ProductFee, billed: Period, since: datetime) -> bool:
    """Return whether the period of a fee is over, and at least half of it is after `since`. So as many are charged as are credited."""
    return fee.whole.end <= billed.start and fee.whole.end - since >= since - fee.whole.start


def _was_cut(fee: ProductFee, cut_labels: Collection[str], zone: str) -> bool:
    """Return whether a cut was made that would have charged the fee."""
    first, last = fee.charged_in(zone)
    return any(first <= label <= last for label in cut_labels)


def _correction(product: Product, paid: PaidFee, fee: ProductFee | None, cut_label: str, zone: str) -> Iterator[FeeToCharge]:
    """Yield the difference between what is owed and what was charged, if there is one.

    It has the terms of the charge, so that its tax is taken back as it was charged.
    """
    charge, owed = paid.charge, fee.owed(zone) if fee is not None else None
    difference = correction(paid.exact, owed.exact if owed is not None else NOTHING)
    if difference == 0:
        return
    kind, period = "credit" if difference < 0 else "correction", charge.period
    description = f"{charge.description}: {kind}"
    if fee is not None and owed is not None:
        share = owed.share or "whole period"
        description = f"{fee.price.description}: {kind} ({share}{',' if ',' in share else ''} due)"
        period = period if paid.is_afterwards else _differing(period, owed.period)
    id, corrected_from = paid.next_correction_id(cut_label), None if paid.is_afterwards else charge.period.start
    yield FeeToCharge(id, product, charge.offering_id, charge, description, period, difference, corrected_from)


def _differing(charged: Period, owed: Period) -> Period:
    """Return the part of a period that a correction is about."""
    if owed.end != charged.end:
        return Period(start=min(owed.end, charged.end), end=max(owed.end, charged.end))
    if owed.start != charged.start:
        return Period(start=min(owed.start, charged.start), end=max(owed.start, charged.start))
    return charged


def _exact(fee: ProductFee | None, zone: str) -> Fraction:
    owed = fee.owed(zone) if fee is not None else None
    return owed.exact if owed is not None else NOTHING


def _overlaps(period: Period, others: Iterable[Period]) -> bool:
    return any(period.start < other.end and other.start < period.end for other in others)
