"""How much a discount takes off a sum, and when it holds."""

import calendar
from collections.abc import Sequence
from datetime import MAXYEAR, date
from fractions import Fraction

from libs.contracts.adjustments import Adjustments, Discount, DiscountTier
from libs.money import minor_unit_decimals

MONTHS = 12
# Whether a discount holds is settled when it is due; besides, MongoDB has no days without a time.
_SETTLED = {"first_months": None, "holds_from": None, "holds_until": None}


def discount_wanted(discount: Discount, subtotal: Fraction, currency: str) -> Fraction:
    """What the discount says of a sum, both exact and in minor units; it may be more than the sum."""
    units_per_one = 10 ** minor_unit_decimals(currency)
    wanted = _wanted(discount, subtotal / units_per_one)
    if discount.maximum is not None:
        wanted = min(wanted, Fraction(discount.maximum))
    return wanted * units_per_one


def discount_holds(discount: Discount, product_first_day: date, first_day: date) -> bool:
    """Whether it is for a charge whose time begins on `first_day`; all days are local ones.

    Three months of a product that began on 31 January end before 30 April: a charge that begins on that day has no discount.
    """
    if discount.holds_from is not None and first_day < discount.holds_from:
        return False
    if discount.holds_until is not None and first_day >= discount.holds_until:
        return False
    return discount.first_months is None or first_day < _months_later(product_first_day, discount.first_months)


def discounts_of_bill(terms: Adjustments, product_first_day: date, first_day: date, *, is_whole_month: bool = True) -> list[Discount]:
    """The discounts after tax of a bill whose time begins on `first_day`, for the bill to compute.

    A bill of a part of a month has those only that do not depend on what the rest brings: percentages without a maximum.
    """
    return [
        discount.model_copy(update=_SETTLED)
        for discount in terms.discounts_after_tax
        if is_whole_month or (discount.model == "percent" and discount.maximum is None)
        if discount_holds(discount, product_first_day, first_day)
    ]


def _wanted(discount: Discount, amount: Fraction) -> Fraction:
    match discount.model:
        case "percent":
            assert discount.percent is not None, f"discount {discount.id} has no percentage"
            return amount * Fraction(discount.percent) / 100
        case "fixed":
            assert discount.amount is not None, f"discount {discount.id} has no amount"
            return Fraction(discount.amount)
        case "graduated":
            return _graduated(discount.tiers, amount)
        case "volume":
            tier = next(tier for tier in discount.tiers if tier.up_to is None or amount <= Fraction(tier.up_to))
            return amount * Fraction(tier.percent) / 100


def _graduated(tiers: Sequence[DiscountTier], amount: Fraction) -> Fraction:
    total, reached = Fraction(0), Fraction(0)
    for tier in tiers:
        end = amount if tier.up_to is None else min(amount, Fraction(tier.up_to))
        total += max(end - reached, Fraction(0)) * Fraction(tier.percent) / 100
        reached = end
    return total


def _months_later(day: date, count: int) -> date:
    """The same day of a later month, or the last one of it where it has no such day."""
    years, month = divmod(day.month - 1 + count, MONTHS)
    year = day.year + years
    if year > MAXYEAR:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
