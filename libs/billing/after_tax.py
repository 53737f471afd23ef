"""Discounts after tax: they lower what is due of a product's lines with their taxes, and leave both as they are."""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from libs.billing.discounts import discount_wanted
from libs.billing.remainders import rounded_rest
from libs.contracts import BillDiscount, BillLine
from libs.contracts.adjustments import DiscountDue
from libs.money import from_minor_units, sum_exactly, to_minor_units


def discounts_after_tax(due: Iterable[DiscountDue], lines: Iterable[BillLine], currency: str) -> tuple[BillDiscount, ...]:
    """Each discount in its order on what the ones before it left of its product, rounded so that percentages commute."""
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for line in lines:
        amounts[line.product_id] += [line.amount, *(tax.amount for tax in line.taxes)]
    billed = {product_id: to_minor_units(sum_exactly(parts), currency) for product_id, parts in amounts.items()}
    exact = {product_id: Fraction(units) for product_id, units in billed.items()}
    discounts = []
    for each in due:
        left = exact.get(each.product_id, Fraction(0))
        if left <= 0:
            continue
        exact[each.product_id] = left - min(max(discount_wanted(each.discount, left, currency), Fraction(0)), left)
        rounded = rounded_rest(exact[each.product_id])
        taken, billed[each.product_id] = billed[each.product_id] - rounded, rounded
        if taken:
            discounts.append(
                BillDiscount(
                    discount_id=each.discount.id,
                    product_id=each.product_id,
                    product_name=each.product_name,
                    description=each.discount.description,
                    amount=from_minor_units(-taken, currency),
                )
            )
    return tuple(discounts)
