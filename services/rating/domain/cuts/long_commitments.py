"""True-ups of the minimum commitments of a quarter or a year, due when the cycle has billed the last month of one or of its product.

All charges of the product by the offering count, discounts included. The terms are those with which that last month begins. Like the
adjustments of a month they are computed anew whenever a cut is about one of their months, and it charges what differs from the
true-ups before.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from libs.billing.adjustments import true_up
from libs.billing.commitments import due_share, missing
from libs.contracts import Charge, PeriodCut
from libs.contracts.adjustments import MinimumCommitment
from libs.money import from_minor_units, sum_exactly, to_minor_units
from libs.periods import MOMENT, Period, first_moment, local_date, month_containing
from libs.pricing import RateBooks
from libs.pricing.charge_amount import line_amount
from services.rating.domain.cuts.adjusted_month import (
    AdjustedMonth,
    billed_until,
    charges_to_reach,
    days_had,
    includes_tax,
    month_of,
    terms_at,
)
from services.rating.domain.holdings import Account

Length = Literal["quarter", "year"]
_MONTHS_OF: Mapping[Length, int] = {"quarter": 3, "year": 12}


@dataclass(frozen=True, slots=True)
class Committed:
    """A commitment that is due. `month` stands for its whole period, without charges."""

    commitment: MinimumCommitment
    month: AdjustedMonth
    is_tax_included: bool


def long_commitments(months: Iterable[AdjustedMonth], account: Account, books: RateBooks, cut: PeriodCut) -> list[Committed]:
    """Return the commitments that are due with a cut: their period, or the product's time with the offering, is over."""
    until = billed_until(cut, account)
    if until is None:
        return []
    zone = account.time_zone
    found: dict[tuple[str, str, str, Period], Committed] = {}
    for month in months:
        for length in _MONTHS_OF if month.tenures else ():
            period = _calendar_period(length, local_date(month.period.start, zone), zone)
            # The product may have got the offering again in a later one.
            held = [tenure.subscription for tenure in month.tenures if tenure.subscription.start < period.end]
            lasts_until = min(period.end, max((subscription.end or period.end for subscription in held), default=period.end))
            if lasts_until > until:
                continue
            # Whichever of its months the cut is about, or late usage of another one would be measured by other terms.
            terms_from = max(month_containing(lasts_until - MOMENT, zone).start, month.got_at)
            is_tax_included = includes_tax(books, month.offering_id, terms_from, account)
            for commitment in terms_at(books, month.offering_id, terms_from, account).long_commitments:
                if commitment.period == length:
                    place = (month.product_id, month.offering_id, commitment.id, period)
                    found[place] = Committed(commitment, replace(month, period=period, charges=()), is_tax_included)
    return list(found.values())


def true_ups(due: Iterable[Committed], charges: Sequence[Charge], account: Account, cut: PeriodCut, now: datetime) -> list[Charge]:
    """Return the true-ups of commitments. `charges` are all that were closed in their periods, with the adjustments of this cut."""
    made: list[Charge] = []
    # A longer one counts what is missing to the shorter ones, and of two alike the second counts the first.
    in_order = sorted(due, key=lambda each: each.month.period.end - each.month.period.start)
    for position, each in enumerate(in_order):
        commitment, month = each.commitment, each.month
        own = [charge for charge in (*charges, *made) if _counts(charge, month, account)]
        # Their true-ups of earlier cuts are measured by this one, and not the other way about.
        not_yet = {(other.commitment.id, other.month.period) for other in in_order[position:] if _is_of_product(other.month, month)}
        spent = sum_exactly(_amount(charge) for charge in own if (charge.price_id, charge.period) not in not_yet)
        share = sum((due_share(month.period, *days_had(tenure, account), account.time_zone) for tenure in month.tenures), Fraction(0))
        if not commitment.is_prorated and share:
            share = Fraction(1)
        units = missing(commitment.amount, share, to_minor_units(spent, account.currency), account.currency)
        wanted = true_up(commitment, from_minor_units(units, account.currency), each.is_tax_included)
        before = [charge for charge in own if (charge.price_id, charge.period) == (commitment.id, month.period)]
        made += charges_to_reach([wanted], before, month, account, cut, now)
    return made


def _counts(charge: Charge, month: AdjustedMonth, account: Account) -> bool:
    return _is_of_product(charge, month) and month_of(charge, account).start in month.period


def _is_of_product(one: Charge | AdjustedMonth, month: AdjustedMonth) -> bool:
    return (one.product_id, one.offering_id) == (month.product_id, month.offering_id)


def _amount(charge: Charge) -> Decimal:
    # What this cut makes is still open.
    return line_amount(charge) if charge.amount is None else charge.amount


def _calendar_period(length: Length, day: date, zone_name: str) -> Period:
    """Return the calendar quarter or year of a local day."""
    count = _MONTHS_OF[length]
    first = (day.month - 1) // count * count
    years, month = divmod(first + count, 12)
    start, end = date(day.year, first + 1, 1), date(day.year + years, month + 1, 1)
    return Period(start=first_moment(start, zone_name), end=first_moment(end, zone_name))
