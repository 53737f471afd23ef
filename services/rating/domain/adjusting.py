"""What a cut makes of the charges that it closes: discounts, caps and commitments, as charges of their own.

They are about one product and one calendar month, that in which a charge's time begins. A month may be billed in several cuts
(on demand, with late usage): each time its adjustments are computed anew on all that was closed of it, and the cut charges what
they differ from those made before. So the number of bills and their order change nothing in the sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from libs.billing.adjustments import Adjustment, adjust
from libs.billing.commitments import due_share
from libs.billing.discounts import discount_holds
from libs.billing.remainders import SummedLine
from libs.contracts import MADE_BY_CUTS, Charge, ChargeKind, PeriodCut, RunType
from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments, DiscountDue
from libs.money import sum_exactly
from libs.periods import Period, local_date, month_containing
from libs.pricing import RateBooks
from services.rating.domain.charge_ids import adjustment_charge_id
from services.rating.domain.fees import CHARGED, ending_with
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of

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
    product: Product | None

    @property
    def begins_at(self) -> datetime:
        """Whose terms hold for the month: those at its start, or at the product's."""
        return self.period.start if self.product is None else max(self.period.start, self.product.started_at)


def are_adjusted(
    account: Account, charges: Iterable[Charge], products: Iterable[Product], books: RateBooks, cut: PeriodCut, now: datetime
) -> bool:
    """Whether any of these products has terms by which a cut adds charges, so that those of earlier cuts must be known."""
    starts = cut.period.start if cut.period is not None else now
    begun = {(charge.offering_id, month_containing(charge.period.start, account.time_zone).start) for charge in charges}
    begun |= {(product.offering_id, max(starts, product.started_at)) for product in products}
    return any(_terms(books, offering_id, at, account).change_charges for offering_id, at in begun)


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
        begins_at = max(starts, product.started_at)
        for discount in _terms(books, product.offering_id, begins_at, account).discounts_after_tax:
            is_final = cut.run_type is RunType.ON_CYCLE or (discount.model == "percent" and discount.maximum is None)
            if is_final and discount_holds(
                discount, local_date(product.started_at, account.time_zone), local_date(begins_at, account.time_zone)
            ):
                due.append(DiscountDue(product_id=product.id, product_name=names[product.id], discount=discount))
    return tuple(due)


def _months(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], cut: PeriodCut, earlier: Sequence[Charge]
) -> list[_Month]:
    """The months of this cut: those that it closes charges of, and for commitments that of its period for every product."""
    held = {product.id: product for product in products}
    names: dict[tuple[str, str, Period], str] = {}
    for charge in charges:
        names[charge.product_id, charge.offering_id, month_containing(charge.period.start, account.time_zone)] = charge.product_name
    if cut.period is not None:
        for product in products:
            names.setdefault((product.id, product.offering_id, month_containing(cut.period.start, account.time_zone)), product.name)
    of_month: dict[tuple[str, str, Period], list[Charge]] = {place: [] for place in names}
    for charge in (*earlier, *charges):
        place = (charge.product_id, charge.offering_id, month_containing(charge.period.start, account.time_zone))
        if place in of_month:
            of_month[place].append(charge)
    return [
        _Month(product_id, names[place], offering_id, period, tuple(of_month[place]), held.get(product_id))
        for place in sorted(names, key=lambda place: (place[0], place[2].start, place[1]))
        for product_id, offering_id, period in [place]
    ]


def _made(month: _Month, account: Account, books: RateBooks, cut: PeriodCut, now: datetime) -> list[Charge]:
    terms = _terms(books, month.offering_id, month.begins_at, account)
    if not terms.change_charges:
        return []
    lines = [_line(charge, account) for charge in month.charges if charge.kind not in MADE_BY_CUTS]
    share = _committed_share(month, account, cut)
    wanted = adjust(terms, lines, _first_day(month, account), account.currency, share)
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
    """Commitments are due when the cycle bills the end of the month, by the offering that the product has then."""
    product = month.product
    if cut.run_type is not RunType.ON_CYCLE or cut.period is None or month.period.end > cut.period.end:
        return None
    if product is None or product.status not in CHARGED or product.offering_id != month.offering_id:
        return None
    return due_share(month.period, product.started_at, product.ended_at, account.time_zone)


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


def _first_day(month: _Month, account: Account) -> date:
    return local_date(month.begins_at if month.product is None else month.product.started_at, account.time_zone)


def _includes_tax(offering_id: str, period: Period, account: Account, books: RateBooks) -> bool:
    offering = books.offering(offering_id, period.end - _MOMENT, account.currency)
    return offering is not None and offering.is_tax_included


def _terms(books: RateBooks, offering_id: str, at: datetime, account: Account) -> Adjustments:
    offering = books.offering(offering_id, at, account.currency)
    return NO_ADJUSTMENTS if offering is None else offering.adjustments
