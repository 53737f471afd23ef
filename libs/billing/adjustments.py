"""What the charges of one product in one period become by its offering's terms: discounts, then the cap, then commitments.

Amounts are those of the whole period. What earlier cuts of it gave already is for the caller to subtract. What is taken off charges is
taxed as they are, in their category, and includes tax where they do; where some do and some do not, each bears its share. A commitment
has a tax category of its own, and what is missing to it includes tax as the amounts of its book do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial

from libs.billing.commitments import missing
from libs.billing.discounts import discount_holds, discount_wanted
from libs.billing.remainders import Remainder, SummedLine, in_scope, take_off
from libs.contracts import ChargeKind
from libs.contracts.adjustments import Adjustments, AdjustmentScope, Discount, MinimumCommitment
from libs.money import from_minor_units, minor_unit_decimals


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A change of a product's charges that are taxed alike: negative for discounts and caps, positive for commitments."""

    kind: ChargeKind
    id: str
    description: str
    tax_category: str | None
    amount: Decimal
    is_tax_included: bool = False


def adjust(
    terms: Adjustments,
    lines: Sequence[SummedLine],
    product_first_day: date,
    currency: str,
    committed_share: Fraction | None,
    is_tax_included: bool = False,
) -> list[Adjustment]:
    """All adjustments of a month that are not zero. `committed_share`: the part of its commitments that is due; None when none is yet.

    `is_tax_included`: whether the amounts of the terms include tax.
    """
    # In an order of their own, or who bears the last cent would depend on which bill a charge came on.
    left = [Remainder.of(line, currency) for line in sorted(lines, key=_order)]
    units_per_one = 10 ** minor_unit_decimals(currency)
    found: list[Adjustment] = []
    for discount in terms.discounts_before_tax:
        positions = [
            position
            for position in _positions(left, discount.scope)
            if discount_holds(discount, product_first_day, left[position].line.first_day)
        ]
        lowered = take_off(left, positions, partial(_discount, discount, currency))
        found += _taken(ChargeKind.DISCOUNT, discount.id, discount.description, left, lowered, currency)
        left = lowered
    if terms.spending_cap is not None:
        cap = terms.spending_cap
        lowered = take_off(left, _positions(left, cap.scope), lambda subtotal: subtotal - Fraction(cap.amount) * units_per_one)
        found += _taken(ChargeKind.CAP, cap.id, cap.description, left, lowered, currency)
        left = lowered
    if committed_share is None:
        return found
    for commitment in terms.monthly_commitments:
        spent = sum(left[position].units for position in _positions(left, commitment.scope))
        share = committed_share if commitment.is_prorated or committed_share == 0 else Fraction(1)
        units = missing(commitment.amount, share, spent, currency)
        if units:
            amount = from_minor_units(units, currency)
            topped_up = true_up(commitment, amount, is_tax_included)
            found.append(topped_up)
            line = SummedLine(topped_up.id, topped_up.kind, topped_up.tax_category, amount, product_first_day, is_tax_included)
            left = [*left, Remainder.of(line, currency)]
    return found


def true_up(commitment: MinimumCommitment, amount: Decimal, is_tax_included: bool) -> Adjustment:
    """What is charged on top for a commitment."""
    return Adjustment(
        ChargeKind.COMMITMENT, commitment.id, commitment.description, commitment.tax_category, amount, is_tax_included=is_tax_included
    )


def _order(line: SummedLine) -> tuple[str, str, str, date, Decimal, bool]:
    return line.tax_category or "", line.price_id, line.kind, line.first_day, line.amount, line.is_tax_included


def _positions(left: Sequence[Remainder], scope: AdjustmentScope) -> list[int]:
    return [position for position, remainder in enumerate(left) if in_scope(remainder.line, scope)]


def _discount(discount: Discount, currency: str, subtotal: Fraction) -> Fraction:
    return discount_wanted(discount, subtotal, currency)


def _taken(
    kind: ChargeKind, id: str, description: str, before: Sequence[Remainder], after: Sequence[Remainder], currency: str
) -> list[Adjustment]:
    units_of: dict[tuple[str | None, bool], int] = {}
    for earlier, later in zip(before, after, strict=True):
        taxed = earlier.line.tax_category, earlier.line.is_tax_included
        units_of[taxed] = units_of.get(taxed, 0) + later.units - earlier.units
    return [
        Adjustment(kind, id, description, category, from_minor_units(units, currency), is_included)
        for (category, is_included), units in sorted(units_of.items(), key=lambda item: (item[0][0] or "", item[0][1]))
        if units
    ]
