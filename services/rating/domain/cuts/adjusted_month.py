"""A product's charges by one offering in one month, which are adjusted together, and the charges that are made of them.

The month is that in which a charge's time begins, or that in which it ended when it was charged afterwards (a fee in arrears).
A correction is of the month of the fee that it corrects.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction

from libs.billing.adjustments import Adjustment
from libs.contracts import Charge, PeriodCut
from libs.contracts.adjustments import NO_ADJUSTMENTS, Adjustments
from libs.money import sum_exactly
from libs.periods import MOMENT, Period, first_moment, local_date, month_containing
from libs.pricing import RateBooks
from libs.pricing.recurring_price import Boundary
from services.rating.domain.charge_ids import adjustment_charge_id
from services.rating.domain.fees import Tenure, tenures_of
from services.rating.domain.holdings import CHARGED, Account, Product
from services.rating.domain.months import label_at

_NOTHING = Decimal(0)


@dataclass(frozen=True, slots=True)
class AdjustedMonth:
    """A product's charges by one offering in one calendar month, closed before and now. They are adjusted together."""

    product_id: str
    product_name: str
    offering_id: str
    period: Period
    charges: tuple[Charge, ...]
    tenures: tuple[Tenure, ...]

    @property
    def got_at(self) -> datetime:
        """Return when the product got the offering, or the start of the month where rating does not know the product any more."""
        return min((tenure.subscription.start for tenure in self.tenures), default=self.period.start)

    @property
    def begins_at(self) -> datetime:
        """Return the instant whose terms hold for the month: its start, or when the product got the offering in it."""
        return max(self.period.start, self.got_at)


def month_of(charge: Charge, account: Account) -> Period:
    if charge.corrected_from is not None:
        return month_containing(charge.corrected_from, account.time_zone)
    is_afterwards = charge.opened_at is not None and charge.period.end <= charge.opened_at
    return month_containing(charge.period.end - MOMENT if is_afterwards else charge.period.start, account.time_zone)


def months_of(
    account: Account, charges: Sequence[Charge], products: Sequence[Product], cut: PeriodCut, earlier: Sequence[Charge]
) -> list[AdjustedMonth]:
    """Return the months of which a cut closes charges, and for commitments the month of its period for every product."""
    tenures: dict[tuple[str, str], list[Tenure]] = {}
    for product in products:
        for tenure in tenures_of(product) if product.status in CHARGED else ():
            tenures.setdefault((product.id, tenure.offering_id), []).append(tenure)
    places = [(charge.product_id, charge.offering_id, month_of(charge, account)) for charge in charges]
    names = {place: charge.product_name for place, charge in zip(places, charges, strict=True)}
    if cut.period is not None:
        month = month_containing(cut.period.start, account.time_zone)
        product_names = {product.id: product.name for product in products}
        for product_id, offering_id in tenures:
            names.setdefault((product_id, offering_id, month), product_names[product_id])
    of_month: dict[tuple[str, str, Period], list[Charge]] = {place: [] for place in names}
    for charge in earlier:
        place = (charge.product_id, charge.offering_id, month_of(charge, account))
        if place in of_month:
            of_month[place].append(charge)
    for place, charge in zip(places, charges, strict=True):
        of_month[place].append(charge)
    return [
        AdjustedMonth(
            product_id, names[place], offering_id, period, tuple(of_month[place]), tuple(tenures.get((product_id, offering_id), ()))
        )
        for place in sorted(names, key=lambda place: (place[0], place[2].start, place[1]))
        for product_id, offering_id, period in [place]
    ]


def billed_until(cut: PeriodCut, account: Account) -> datetime | None:
    """Return until when all is billed once the cut is made: the end of its period.

    For a cut on demand, the end of the last month that is over and has a cut. A month without a cut waits for its cycle.
    """
    if cut.period is not None:
        return cut.period.end
    zone = account.time_zone
    months = (month_containing(first_moment(date.fromisoformat(label), zone), zone) for label in account.cuts)
    return max((month.end for month in months if month.end <= cut.requested_at), default=None)


def days_had(tenure: Tenure, account: Account) -> tuple[datetime, datetime | None]:
    """Return from when until when a tenure counts. The day of a change to another offering is of the other one."""
    end = tenure.subscription.end
    if end is not None and tenure.subscription.ended_by is Boundary.CHANGE:
        end = first_moment(local_date(end, account.time_zone), account.time_zone)
    return tenure.subscription.start, end


def charges_to_reach(
    wanted: Iterable[Adjustment], made_before: Iterable[Charge], month: AdjustedMonth, account: Account, cut: PeriodCut, now: datetime
) -> list[Charge]:
    """Return the charges by which all adjustments of a month come to what is `wanted`. What is not wanted any more is undone."""
    due = [difference for difference in _differences(wanted, made_before) if difference.amount]
    return [_charge_of(month, each, account, cut, now) for each in due]


def _differences(wanted: Iterable[Adjustment], made_before: Iterable[Charge]) -> list[Adjustment]:
    found = {(each.kind, each.id, each.tax_category, each.is_tax_included): each for each in wanted}
    for charge in made_before:
        taxed = charge.tax_category, charge.is_tax_included
        due = found.get((charge.kind, charge.price_id, *taxed))
        if due is None:
            due = Adjustment(charge.kind, charge.price_id, charge.description, charge.tax_category, _NOTHING, charge.is_tax_included)
        amount = sum_exactly([due.amount, -(charge.amount or _NOTHING)])
        found[charge.kind, charge.price_id, *taxed] = replace(due, amount=amount)
    return list(found.values())


def _charge_of(month: AdjustedMonth, adjustment: Adjustment, account: Account, cut: PeriodCut, now: datetime) -> Charge:
    first_days = label_at(month.period.start, account.time_zone), label_at(month.period.end, account.time_zone)
    return Charge(
        id=adjustment_charge_id(account.id, month.product_id, month.offering_id, adjustment, first_days, cut.id),
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
        is_tax_included=adjustment.is_tax_included,
        opened_at=now,
        updated_at=now,
    )


def _sums(amount: Decimal) -> dict[str, Decimal]:
    exact = Fraction(amount)
    return {str(exact.denominator): Decimal(exact.numerator)}


def terms_at(books: RateBooks, offering_id: str, at: datetime, account: Account) -> Adjustments:
    offering = books.offering(offering_id, at, account.currency, account.time_zone)
    return NO_ADJUSTMENTS if offering is None else offering.adjustments


def includes_tax(books: RateBooks, offering_id: str, at: datetime, account: Account) -> bool:
    """Return whether the amounts of these terms include tax."""
    offering = books.offering(offering_id, at, account.currency, account.time_zone)
    return offering is not None and offering.is_tax_included
