"""What a cut makes of the charges that it closes: discounts, caps and commitments, as charges of their own.

They are about one product and one calendar month: that in which a charge's time begins, or that in which it ended when it was
charged afterwards (a fee in arrears). A month may be billed in several cuts
(on demand, with late usage): each time its adjustments are computed anew on all that was closed of it, and the cut charges what
they differ from those made before. So the number of bills and their order change nothing in the sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from libs.billing.adjustments import Adjustment, adjust
from libs.billing.commitments import due_share
from libs.billing.discounts import discount_holds
from libs.billing.remainders import SummedLine
from libs.contracts import MADE_BY_CUTS, Charge, ChargeKind, PeriodCut, RunType
from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments, DiscountDue
from libs.money import sum_exactly
from libs.periods import Period, first_moment, local_date, month_containing
from libs.pricing import RateBooks
from libs.pricing.recurring_price import Boundary
from services.rating.domain.charge_ids import adjustment_charge_id
from services.rating.domain.fees import CHARGED, ending_with
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of
from services.rating.domain.tenures import Tenure, tenures_of

NOTHING = Decimal(0)
_MOMENT = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class _Month:
    """What is adjusted together: a product's charges by one offering in one calendar month, closed before and now."""

    product_id: str
    product_name: str
    offering_id: str
    period: Period
    charges: tuple[Charge, ...]
    tenures: tuple[Tenure, ...]

    @property
    def got_at(self) -> datetime:
        """When the product got the offering; for one that rating does not know any more, when the month begins."""
        return min((tenure.subscription.start for tenure in self.tenures), default=self.period.start)

    @property
    def begins_at(self) -> datetime:
        """Whose terms hold for the month: those at its start, or when the product got the offering in it."""
        return max(self.period.start, self.got_at)


def are_adjusted(
    account: Account, charges: Iterable[Charge], products: Iterable[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> bool:
    """Whether any of these products has terms by which a cut adds charges, so that those of earlier cuts must be known."""
    starts = cut.period.start if cut.period is not None else now
    begun = {(charge.offering_id, _month_of(charge, account).start) for charge in charges}
    begun |= {(tenure.offering_id, max(starts, tenure.subscription.start)) for product in products for tenure in tenures_of(product)}
    return any(_terms(books, offering_id, at, account).change_charges for offering_id, at in begun)


def first_adjusted(account: Account, charges: Iterable[Charge], cut: PeriodCut) -> datetime | None:
    """When the first of the months begins that the cut, closing these charges, is about: the earlier charges from then on matter."""
    starts = [_month_of(charge, account).start for charge in charges]
    if cut.period is not None:
        starts.append(month_containing(cut.period.start, account.time_zone).start)
    return min(starts, default=None)


def told_of_tax(charges: Iterable[Charge], account: Account, books: RateBooks) -> list[Charge]:
    """The charges, each told whether its price includes the taxes, as the book says that holds when its time ends."""
    return [
        charge.model_copy(update={"is_tax_included": True}) if _includes_tax(charge.offering_id, charge.period, account, books) else charge
        for charge in charges
    ]


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
    if cut.account_closed_at is not None:
        products = ending_with(cut.account_closed_at, products)
    months = _months(account, charges, list(products), cut, earlier)
    return [charge for month in months for charge in _made(month, account, books, cut, now)]


def discounts_due(
    account: Account, charges: Iterable[Charge], products: Iterable[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> tuple[DiscountDue, ...]:
    """The discounts after tax of the products that the cut has charges of, for the bill to compute.

    A bill on demand gets those only that do not depend on what the rest of the month brings: percentages without a maximum.
    """
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
        for discount in _terms(books, tenure.offering_id, begins_at, account).discounts_after_tax:
            is_final = cut.run_type is RunType.ON_CYCLE or (discount.model == "percent" and discount.maximum is None)
            if is_final and discount_holds(discount, got_on, begins_on):
                due.append(DiscountDue(product_id=product.id, product_name=names[product.id], discount=discount))
    return tuple(due)


def _month_of(charge: Charge, account: Account) -> Period:
    is_afterwards = charge.opened_at is not None and charge.period.end <= charge.opened_at
    return month_containing(charge.period.end - _MOMENT if is_afterwards else charge.period.start, account.time_zone)


def _months(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], cut: PeriodCut, earlier: Sequence[Charge]
) -> list[_Month]:
    """The months of this cut: those that it closes charges of, and for commitments that of its period for every product."""
    tenures: dict[tuple[str, str], list[Tenure]] = {}
    for product in products:
        for tenure in tenures_of(product) if product.status in CHARGED else ():
            tenures.setdefault((product.id, tenure.offering_id), []).append(tenure)
    names: dict[tuple[str, str, Period], str] = {}
    for charge in charges:
        names[charge.product_id, charge.offering_id, _month_of(charge, account)] = charge.product_name
    if cut.period is not None:
        month = month_containing(cut.period.start, account.time_zone)
        product_names = {product.id: product.name for product in products}
        for product_id, offering_id in tenures:
            names.setdefault((product_id, offering_id, month), product_names[product_id])
    of_month: dict[tuple[str, str, Period], list[Charge]] = {place: [] for place in names}
    for charge in (*earlier, *charges):
        place = (charge.product_id, charge.offering_id, _month_of(charge, account))
        if place in of_month:
            of_month[place].append(charge)
    return [
        _Month(product_id, names[place], offering_id, period, tuple(of_month[place]), tuple(tenures.get((product_id, offering_id), ())))
        for place in sorted(names, key=lambda place: (place[0], place[2].start, place[1]))
        for product_id, offering_id, period in [place]
    ]


def _made(month: _Month, account: Account, books: RateBooks, cut: PeriodCut, now: datetime) -> list[Charge]:
    terms = _terms(books, month.offering_id, month.begins_at, account)
    if not terms.change_charges:
        return []
    lines = [_line(charge, account) for charge in month.charges if charge.kind not in MADE_BY_CUTS]
    share = _committed_share(month, account, cut)
    wanted = adjust(terms, lines, local_date(month.got_at, account.time_zone), account.currency, share)
    made_before = [
        charge
        for charge in month.charges
        if charge.kind in MADE_BY_CUTS and (share is not None or charge.kind is not ChargeKind.COMMITMENT)
    ]
    differences = _differences(wanted, made_before)
    is_tax_included = _includes_tax(month.offering_id, month.period, account, books)
    return [_charge(month, difference, account, cut, now, is_tax_included) for difference in differences if difference.amount]


def _differences(wanted: Iterable[Adjustment], made_before: Iterable[Charge]) -> list[Adjustment]:
    """What is still to be charged so that all adjustments of a month come to what is wanted; what is not wanted any more is undone."""
    found = {(each.kind, each.id, each.tax_category): each for each in wanted}
    for charge in made_before:
        place = (charge.kind, charge.price_id, charge.tax_category)
        amount = charge.amount or NOTHING
        due = found.get(place) or Adjustment(charge.kind, charge.price_id, charge.description, charge.tax_category, NOTHING)
        found[place] = replace(due, amount=sum_exactly([due.amount, -amount]))
    return list(found.values())


def _committed_share(month: _Month, account: Account, cut: PeriodCut) -> Fraction | None:
    """Commitments are due when the cycle bills the end of the month, for the days on which the product had the offering."""
    if cut.run_type is not RunType.ON_CYCLE or cut.period is None or month.period.end > cut.period.end:
        return None
    if not month.tenures:
        return None
    shares = [due_share(month.period, *_days_had(tenure, account), account.time_zone) for tenure in month.tenures]
    return sum(shares, Fraction(0))


def _days_had(tenure: Tenure, account: Account) -> tuple[datetime, datetime | None]:
    """From when until when; the day of a change to another offering is the other's."""
    end = tenure.subscription.end
    if end is not None and tenure.subscription.ended_by is Boundary.CHANGE:
        end = first_moment(local_date(end, account.time_zone), account.time_zone)
    return tenure.subscription.start, end


def _charge(month: _Month, adjustment: Adjustment, account: Account, cut: PeriodCut, now: datetime, is_tax_included: bool) -> Charge:
    label = label_of(month.period, account.time_zone)
    part = adjustment.id if adjustment.tax_category is None else f"{adjustment.id}:{adjustment.tax_category}"
    return Charge(
        id=adjustment_charge_id(account.id, month.product_id, part, label, cut.id),
        account_id=account.id,
        product_id=month.product_id,
        product_name=month.product_name,
        offering_id=month.offering_id,
        price_id=adjustment.id,
        kind=adjustment.kind,
        description=adjustment.description,
        currency=account.currency,
        period=month.period,
        sequence=0,
        sums=_sums(adjustment.amount),
        tax_category=adjustment.tax_category,
        is_tax_included=is_tax_included,
        opened_at=now,
        updated_at=now,
    )


def _sums(amount: Decimal) -> dict[str, Decimal]:
    exact = Fraction(amount)
    return {str(exact.denominator): Decimal(exact.numerator)}


def _line(charge: Charge, account: Account) -> SummedLine:
    assert charge.amount is not None, f"charge {charge.id} is adjusted before it is closed"
    return SummedLine(charge.price_id, charge.kind, charge.tax_category, charge.amount, local_date(charge.period.start, account.time_zone))


def _includes_tax(offering_id: str, period: Period, account: Account, books: RateBooks) -> bool:
    offering = books.offering(offering_id, period.end - _MOMENT, account.currency)
    return offering is not None and offering.is_tax_included


def _terms(books: RateBooks, offering_id: str, at: datetime, account: Account) -> Adjustments:
    offering = books.offering(offering_id, at, account.currency)
    return NO_ADJUSTMENTS if offering is None else offering.adjustments
