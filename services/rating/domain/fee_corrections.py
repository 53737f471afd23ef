"""Corrections of recurring fees: what was charged for a period becomes what is owed for it now, in advance and in arrears alike.

A cut looks at the periods that are not over, where books have other fees than the last cut charged by; and where the product is known
otherwise, at those of a year that this touches. Of what was charged under a price that does not stand for its period any more,
nothing is owed; what stands instead is charged beside it, also for what is over already. All other periods stay as they were charged.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from libs.billing.dates import next_bill
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.recurring import correction, is_due
from services.rating.domain.charged_as import owes_alike
from services.rating.domain.fee_charges import Asked
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of
from services.rating.domain.paid_fees import PaidFee
from services.rating.domain.product_fees import ProductFee, asked_for, product_fees

# How late what happened to a product may be heard and still correct its fees: by the longest usual one.
CORRECTED_BACK = timedelta(days=366)
NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What a product's fees are corrected by: what was `paid`, and the product `before`, as the last cut knew it, or None where
    that is not known; then all of the year is looked at. `cut_labels` are those of the months of which the cycle was cut.
    """

    before: Product | None
    paid: Mapping[str, PaidFee]
    cut_labels: frozenset[str]


def fees_looked_at(account: Account, product: Product, billed: Period, books: RateBooks) -> dict[str, ProductFee]:
    """What is asked for the periods that a cut may correct, by the ids of their charges, the product being known so."""
    # Twice as far back: what replaces a period that reaches into the year may end before it.
    since, until = billed.start - 2 * CORRECTED_BACK, next_bill(billed, account.time_zone)
    return {fee.id: fee for fee in product_fees(account, product, books, since, until)}


def corrections(
    account: Account, product: Product, billed: Period, books: RateBooks, charged: Mapping[str, Fraction], reckoning: Reckoning
) -> Iterator[Asked]:
    """What corrects the fees of a product, besides those that fall due. None of the `charged` ids is a charge to be made."""
    zone, until = account.time_zone, next_bill(billed, account.time_zone)
    asked = fees_looked_at(account, product, billed, books)
    paid = {id: fee for id, fee in reckoning.paid.items() if fee.charge.period.start < until}
    unpaid = [fee for id, fee in asked.items() if id not in paid and id not in charged]
    unasked = [fee.charge.period for id, fee in paid.items() if id not in asked and fee.exact]
    since = min([billed.start - CORRECTED_BACK, *(period.start for period in unasked)])
    changed = _changed(account, product, reckoning.before, billed, books, asked)
    passed_over = [
        fee for fee in unpaid if _is_over(fee, billed, since) and (fee.id in changed or _was_cut(fee, account, reckoning.cut_labels))
    ]
    due = [fee for fee in unpaid if is_due(fee.price, fee.tenure.subscription, fee.fee_period, billed, until, zone)]
    known_otherwise = [Period(start=billed.start - CORRECTED_BACK, end=billed.start)] if reckoning.before is None else changed.values()
    touched = [Period(start=billed.start, end=until), *known_otherwise]
    touched = _grown(touched, [*unasked, *(fee.whole for fee in (*due, *passed_over))])
    for id, fee in paid.items():
        of = asked.get(id)
        if _overlaps(of.whole if of is not None else fee.charge.period, touched):
            correcting = _correction(fee, of, label_of(billed, zone), zone)
            if correcting is not None:
                yield correcting
    for late in passed_over:
        owed = late.owed(zone) if _overlaps(late.whole, touched) else None
        if owed is not None:
            yield asked_for(late, owed)


def _changed(
    account: Account, product: Product, before: Product | None, billed: Period, books: RateBooks, asked: Mapping[str, ProductFee]
) -> dict[str, Period]:
    """Return the periods, by the ids of their fees, for which the product owes something else than as it was known before."""
    if before is None or owes_alike(product, before):
        return {}
    asked_before, zone = fees_looked_at(account, before, billed, books), account.time_zone
    fees = {**asked_before, **asked}
    return {id: fee.whole for id, fee in fees.items() if _owed(asked.get(id), zone) != _owed(asked_before.get(id), zone)}


def _grown(touched: list[Period], waiting: list[Period]) -> list[Period]:
    """With those that overlap what is touched: where a fee ceases to be asked, or begins, all that it covers is touched."""
    reached = touched
    while reached:
        within: list[Period] = []
        apart: list[Period] = []
        for period in waiting:
            (within if _overlaps(period, reached) else apart).append(period)
        touched, waiting, reached = touched + within, apart, within
    return touched


def _is_over(fee: ProductFee, billed: Period, since: datetime) -> bool:
    """Return whether the period of a fee is over, half of it at least within the time that is looked at.

    So as many are charged as are credited.
    """
    return fee.whole.end <= billed.start and fee.whole.end - since >= since - fee.whole.start


def _was_cut(fee: ProductFee, account: Account, cut_labels: frozenset[str]) -> bool:
    """Return whether a cut was made that would have charged the fee."""
    first, last = fee.charged_in(account.time_zone)
    return any(first <= label <= last for label in cut_labels)


def _correction(paid: PaidFee, fee: ProductFee | None, cut_label: str, zone: str) -> Asked | None:
    """The difference between what is owed and what was charged, on the terms of that charge, so that its tax is taken back as it was."""
    charge, owed = paid.charge, fee.owed(zone) if fee is not None else None
    difference = correction(paid.exact, owed.exact if owed is not None else NOTHING)
    if difference == 0:
        return None
    kind, period = "credit" if difference < 0 else "correction", charge.period
    if fee is None or owed is None:
        description = f"{charge.description}: {kind}"
    else:
        description = f"{fee.price.description}: {kind} ({owed.told or 'whole period'}{', ' if ',' in owed.told else ' '}due)"
        period = _differing(charge.period, owed.period)
    id = paid.next_correction_id(cut_label)
    if paid.is_afterwards:
        return Asked(id, charge.offering_id, charge, description, charge.period, difference)
    return Asked(id, charge.offering_id, charge, description, period, difference, charge.period.start)


def _differing(charged: Period, owed: Period) -> Period:
    """The part of a period that a correction is about."""
    if owed.end != charged.end:
        return Period(start=min(owed.end, charged.end), end=max(owed.end, charged.end))
    if owed.start != charged.start:
        return Period(start=min(owed.start, charged.start), end=max(owed.start, charged.start))
    return charged


def _owed(fee: ProductFee | None, zone: str) -> Fraction:
    owed = fee.owed(zone) if fee is not None else None
    return owed.exact if owed is not None else NOTHING


def _overlaps(period: Period, others: list[Period]) -> bool:
    return any(period.start < other.end and other.start < period.end for other in others)
