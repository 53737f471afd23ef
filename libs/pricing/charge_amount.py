"""What a charge comes to: exactly, for whoever adds on, and as the line of a bill. The one arithmetic of cut, audit and gateway."""

from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeKind
from libs.money import minor_unit_decimals, round_to_decimals, round_to_minor_unit, sum_fractions
from libs.pricing.tiers import tiers_amount


def exact_amount(charge: Charge) -> Fraction:
    """What its usages added up to, and what its tiers make of its quantity."""
    exact = sum_fractions(charge.sums)
    if charge.tiers is None or _is_left(charge):
        return exact
    return exact + tiers_amount(charge.tiers, charge.quantity)


def line_amount(charge: Charge) -> Decimal:
    """The rounding point of a bill line: as the charge's book says, or else half up to the currency's minor unit."""
    exact, rounding = exact_amount(charge), charge.line_rounding
    if rounding is None:
        return round_to_minor_unit(exact, charge.currency)
    decimals = minor_unit_decimals(charge.currency) if rounding.decimals is None else rounding.decimals
    # With the currency's decimals, of which some may stay zero: 12.3 EUR is billed as 12.30.
    return round_to_minor_unit(round_to_decimals(exact, decimals, rounding.mode), charge.currency)


def _is_left(charge: Charge) -> bool:
    """Whether re-rating took all usage away: then not even the flat amount of a first tier is due."""
    return charge.kind in (ChargeKind.USAGE, ChargeKind.ADJUSTMENT) and charge.usage_count <= 0 and not charge.quantity
