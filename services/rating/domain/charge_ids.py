"""Ids of charges, derived from what they accumulate: account, product, price, month and sequence.

The sequence is the number of cuts already made of that account and month. A recurring fee has none: however many cuts
cover a month, its fee is one charge. What a cut adjusts (discounts, commitments, caps) is a charge of that cut.
"""

import hashlib
from decimal import Decimal
from functools import lru_cache

from libs.billing.adjustments import Adjustment
from libs.contracts import Charge, ChargeTiers, LineRounding
from libs.contracts.derived_ids import joined_id
from libs.pricing import CompiledPrice

# Leaves room for the label of a cut and a number.
CORRECTED_LENGTH_MAX = 240
TERMS_LENGTH = 12
# One for each price of the books in use.
TERMS_REMEMBERED_MAX = 10_000
RECURRING = "recurring"
ONE_TIME = "oneTime"
ADJUSTED = "adjusted"
TAX_INCLUDED = "tax-included"


def usage_charge_id(account_id: str, product_id: str, price_id: str, month_label: str, sequence: int, terms: str = "") -> str:
    """Return the id of the charge that counts usage."""
    if terms:
        return joined_id(account_id, product_id, price_id, month_label, str(sequence), terms)
    return joined_id(account_id, product_id, price_id, month_label, str(sequence))


@lru_cache(TERMS_REMEMBERED_MAX)
def terms_of_price(price: CompiledPrice, later_offering: str | None = None) -> str:
    """The terms of the charges at a price. `later_offering` is the product's offering, unless it is the first that it had."""
    return terms_of(price.tiers, price.line_rounding, price.tax_category, price.is_tax_included, later_offering)


def terms_of_charge(charge: Charge, later_offering: str | None = None) -> str:
    """The terms of a charge, the same as those of the price under which it was opened."""
    return terms_of(charge.tiers, charge.line_rounding, charge.tax_category, charge.is_tax_included, later_offering)


def terms_of(
    tiers: ChargeTiers | None,
    rounding: LineRounding | None,
    tax_category: str | None = None,
    is_tax_included: bool = False,
    later_offering: str | None = None,
) -> str:
    """Return the digest that tells apart charges of one price with other tiers, rounding, tax or offering. Mostly it is empty.

    Usages may only be added where the same becomes of them: a book that changes tiers or taxes within a month begins a charge, and
    so does another offering, whose discounts are others.
    """
    told = [] if rounding is None else [rounding.mode.value, str(rounding.decimals)]
    if rounding is not None and rounding.point == "bill":
        told.append(rounding.point)
    if tiers is not None:
        told += [tiers.model, _told(tiers.free_quantity)]
        told += [_told(number) for tier in tiers.tiers for number in (tier.up_to, tier.amount, tier.per, tier.increment, tier.flat)]
    if tax_category is not None:
        told.append(f"tax:{_unambiguous(tax_category)}")
    if is_tax_included:
        told.append(TAX_INCLUDED)
    if later_offering is not None:
        told.append(f"offering:{later_offering}")
    return hashlib.sha256(" ".join(told).encode()).hexdigest()[:TERMS_LENGTH] if told else ""


def _unambiguous(tax_category: str) -> str:
    """Escape a category that reads like one and what may follow it. All others stay as they are, for open charges are named by them."""
    if any(mark in tax_category for mark in (f" {TAX_INCLUDED}", " offering:", "%20", "%25")):
        return tax_category.replace("%", "%25").replace(" ", "%20")
    return tax_category


def _told(number: Decimal | None) -> str:
    # The same for 0.1 and 0.10: a book that writes it otherwise changes nothing.
    return "-" if number is None else f"{number.normalize():f}"


def recurring_charge_id(account_id: str, product_id: str, price_id: str, period_label: str) -> str:
    """The one charge of a recurring fee for one of its periods."""
    return joined_id(account_id, product_id, price_id, period_label, RECURRING)


def fee_correction_id(fee_id: str, cut_label: str, number: int = 0) -> str:
    """Return the id of a fee correction. `number` counts the earlier corrections of the fee by cuts of that month."""
    return f"{corrected_part(fee_id)}|{cut_label}.{number}" if number else f"{corrected_part(fee_id)}|{cut_label}"


def corrected_part(charge_id: str) -> str:
    """Return the part that the ids of a recurring charge and of its corrections share. It leads from a correction to its fee."""
    fee_id, _, last = charge_id.rpartition("|")
    if fee_id and last != RECURRING:
        return fee_id
    return charge_id if len(charge_id) <= CORRECTED_LENGTH_MAX else hashlib.sha256(charge_id.encode()).hexdigest()


def one_time_charge_id(account_id: str, product_id: str, price_id: str, occasion: str) -> str:
    """The one charge of a one-time price; a product is activated once, and terminated once."""
    return joined_id(account_id, product_id, price_id, occasion, ONE_TIME)


def adjustment_charge_id(
    account_id: str, product_id: str, offering_id: str, adjustment: Adjustment, first_days: tuple[str, str], cut_id: str
) -> str:
    """Return the id of what a cut adjusts for a period. `first_days` are the labels of that period and of the one after it.

    Everything by which a cut tells two adjustments apart is part of it. Two offerings may have a discount of one id, a month and
    its quarter a commitment of one id, and one discount lowers charges of several tax categories.
    """
    taxed = adjustment.tax_category or "", TAX_INCLUDED if adjustment.is_tax_included else ""
    parts = account_id, product_id, offering_id, adjustment.kind.value, adjustment.id, *taxed, *first_days
    return joined_id(*parts, ADJUSTED, cut_id)


def crossing_id(account_id: str, product_id: str, offering_id: str, month_label: str, threshold_id: str, percent: int) -> str:
    """A threshold that a product's usage of a month reached: no charge, and named like one."""
    return joined_id(account_id, product_id, offering_id, month_label, threshold_id, str(percent))
