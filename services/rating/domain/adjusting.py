"""What a cut makes of the charges that it closes: discounts, caps and commitments, as charges of their own.

They are about one product, by one offering, in one calendar month. A month may be billed in several cuts (on demand, with late
usage): each time its adjustments are computed anew on all that was closed of it, and the cut charges what they differ from those
made before. So the number of bills and their order change nothing in the sum.
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
from services.rating.domain.adjusted_months import (
    AdjustedMonth,
    billed_until,
    charges_to_reach,
    days_had,
    includes_tax,
    month_of,
    months_of,
    terms_at,
)
from services.rating.domain.committing import long_commitments, true_ups
from services.rating.domain.fees import ending_with
from services.rating.domain.holdings import Account, Product
from services.rating.domain.tenures import tenures_of


def are_adjusted(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> bool:
    """Whether any of these products has terms by which a cut adds charges, so that those of earlier cuts must be known."""
    if not _may_be_adjusted(account, charges, products, books):
        return False
    starts = cut.period.start if cut.period is not None else now
    begun = {(charge.offering_id, month_of(charge, account).start) for charge in charges}
    begun |= {(tenure.offering_id, max(starts, tenure.subscription.start)) for product in products for tenure in tenures_of(product)}
    if any(terms_at(books, offering_id, at, account).change_charges for offering_id, at in begun):
        return True
    # The terms of a long commitment are those of its last month, which is none of these.
    return bool(long_commitments(months_of(account, charges, _held(products, cut), cut, ()), account, books, cut))


def first_adjusted(
    account: Account, charges: Sequence[Charge], products: Iterable[Product], books: RateBooks, cut: PeriodCut
) -> datetime | None:
    """When the first month or commitment begins that the cut, closing these charges, is about: earlier charges matter from then on."""
    months = months_of(account, charges, _held(products, cut), cut, ())
    starts = [month.period.start for month in months]
    starts += [due.month.period.start for due in long_commitments(months, account, books, cut)]
    return min(starts, default=None)


def adjustments(
    account: Account,
    charges: Sequence[Charge],
    products: Iterable[Product],
    books: RateBooks,
    cut: PeriodCut,
    now: datetime,
    earlier: Sequence[Charge] = (),
) -> list[Charge]:
    """The charges, still open, that the cut adds to the `charges` it closes, whose amounts are rounded by now.

    `earlier` are the charges of the account that other cuts closed and keep; those of months that this cut is not about are ignored.
    """
    months = months_of(account, charges, _held(products, cut), cut, earlier)
    made = [charge for month in months for charge in _made(month, account, books, cut, now)]
    due = long_commitments(months, account, books, cut)
    return [*made, *true_ups(due, [*earlier, *charges, *made], account, cut, now)] if due else made


def discounts_due(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> tuple[DiscountDue, ...]:
    """The discounts after tax of the products that the cut has charges of, for the bill to compute."""
    if not _may_be_adjusted(account, charges, products, books):
        return ()
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


def _may_be_adjusted(account: Account, charges: Iterable[Charge], products: Iterable[Product], books: RateBooks) -> bool:
    """Whether any offering here has terms at all: mostly none has, and nothing is looked up."""
    offering_ids = {charge.offering_id for charge in charges}
    for product in products:
        offering_ids |= {product.offering_id, *(former.offering_id for former in product.former_offerings)}
    return any(books.is_ever_adjusted(offering_id, account.currency) for offering_id in offering_ids)


def _held(products: Iterable[Product], cut: PeriodCut) -> list[Product]:
    return list(products) if cut.account_closed_at is None else ending_with(cut.account_closed_at, products)


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
    """Commitments are due when the cycle bills the end of the month, and corrected by any cut after it, for the days on which the
    product had the offering.
    """
    until = billed_until(cut, account)
    if until is None or month.period.end > until:
        return None
    if not month.tenures:
        return None
    shares = [due_share(month.period, *days_had(tenure, account), account.time_zone) for tenure in month.tenures]
    return sum(shares, Fraction(0))
