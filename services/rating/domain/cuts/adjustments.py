"""Adjustments of the charges that a cut closes: discounts, caps and commitments, as charges of their own.

They are of one product, by one offering, in one calendar month. Several cuts may bill a month (on demand, with late usage). Each
computes the adjustments of all charges of the month that are closed by then, and charges the difference to the adjustments made before.
So the number and the order of bills do not change the sum.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from fractions import Fraction

from libs.billing.adjustments import adjust
from libs.billing.commitments import due_share
from libs.billing.discounts import discounts_of_bill
from libs.billing.remainders import SummedLine
from libs.contracts import MADE_BY_CUTS, Charge, ChargeKind, PeriodCut, RunType
from libs.contracts.adjustments import DiscountDue
from libs.periods import local_date, month_containing
from libs.pricing import RateBooks
from services.rating.domain.cuts.account_to_cut import products_at
from services.rating.domain.cuts.adjusted_month import (
    AdjustedMonth,
    billed_until,
    charges_to_reach,
    days_had,
    includes_tax,
    months_of,
    terms_at,
)
from services.rating.domain.cuts.long_commitments import long_commitments, true_ups
from services.rating.domain.fees import tenures_of
from services.rating.domain.holdings import Account, Product


def may_be_adjusted(account: Account, charges: Iterable[Charge], products: Iterable[Product], books: RateBooks) -> bool:
    """Return whether an offering of these ever had discounts, caps or commitments. Mostly none had."""
    offering_ids = {charge.offering_id for charge in charges}
    for product in products:
        offering_ids |= {product.offering_id, *(former.offering_id for former in product.former_offerings)}
    return any(books.is_ever_adjusted(offering_id, account.currency) for offering_id in offering_ids)


def first_adjusted(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], books: RateBooks, cut: PeriodCut
) -> datetime | None:
    """Return the start of the first month or commitment that a cut of these charges adjusts. Closed charges matter from then on."""
    months = months_of(account, charges, products_at(cut, products), cut, ())
    starts = [month.period.start for month in months]
    starts += [due.month.period.start for due in long_commitments(months, account, books, cut)]
    return min(starts, default=None)


def adjustments(
    account: Account,
    charges: Sequence[Charge],
    products: Sequence[Product],
    books: RateBooks,
    cut: PeriodCut,
    now: datetime,
    earlier: Sequence[Charge] = (),
) -> list[Charge]:
    """Return the adjustments of the `charges` that a cut closes, as open charges. The amounts of `charges` are rounded.

    `earlier` are the charges of the account that other cuts closed and keep. Those of other months are ignored.
    """
    months = months_of(account, charges, products_at(cut, products), cut, earlier)
    made = [charge for month in months for charge in _made(month, account, books, cut, now)]
    due = long_commitments(months, account, books, cut)
    return [*made, *true_ups(due, [*earlier, *charges, *made], account, cut, now)] if due else made


def discounts_due(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> tuple[DiscountDue, ...]:
    """Return the discounts after tax of the products that the cut has charges of. The bill computes them."""
    names = {charge.product_id: charge.product_name for charge in charges}
    starts = cut.period.start if cut.period is not None else month_containing(now, account.time_zone).start
    due = []
    for product in sorted(products, key=lambda product: product.id):
        if product.id not in names:
            continue
        # Of the offerings that it had, the one with which the time of the bill begins.
        tenure = next((each for each in tenures_of(product) if each.subscription.end is None or starts < each.subscription.end), None)
        if tenure is None:
            continue
        got_at = tenure.subscription.start
        begins_at = max(starts, got_at)
        got_on, begins_on = (local_date(at, account.time_zone) for at in (got_at, begins_at))
        terms = terms_at(books, tenure.offering_id, begins_at, account)
        for discount in discounts_of_bill(terms, got_on, begins_on, is_whole_month=cut.run_type is RunType.ON_CYCLE):
            due.append(DiscountDue(product_id=product.id, product_name=names[product.id], discount=discount))
    return tuple(due)


def _made(month: AdjustedMonth, account: Account, books: RateBooks, cut: PeriodCut, now: datetime) -> list[Charge]:
    terms = terms_at(books, month.offering_id, month.begins_at, account)
    if not terms.change_charges:
        return []
    lines = [SummedLine.of(charge, account.time_zone) for charge in month.charges if charge.kind not in MADE_BY_CUTS]
    share = _committed_share(month, account, cut)
    is_tax_included = includes_tax(books, month.offering_id, month.begins_at, account)
    wanted = adjust(terms, lines, local_date(month.got_at, account.time_zone), account.currency, share, is_tax_included)
    made_before = [
        charge
        for charge in month.charges
        # The true-up of a longer commitment is not the month's.
        if charge.kind in MADE_BY_CUTS and charge.period == month.period and (share is not None or charge.kind is not ChargeKind.COMMITMENT)
    ]
    return charges_to_reach(wanted, made_before, month, account, cut, now)


def _committed_share(month: AdjustedMonth, account: Account, cut: PeriodCut) -> Fraction | None:
    """Return the share of the month for which its commitments are due: the days on which the product had the offering.

    None before the cycle bills the end of the month. Any later cut corrects them.
    """
    until = billed_until(cut, account)
    if until is None or month.period.end > until:
        return None
    if not month.tenures:
        return None
    shares = [due_share(month.period, *days_had(tenure, account), account.time_zone) for tenure in month.tenures]
    return sum(shares, Fraction(0))
