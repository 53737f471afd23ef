"""Numbers and quantities of a rate book compared by what they are worth: 0.10 is 0.1, and 60 s is 1 min."""

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from typing import Any

from libs.pricing.exact_number import parse_number
from libs.pricing.faults import Unreadable
from libs.pricing.unit import parse_unit_quantity
from libs.tariffs.book_document import as_list

# Fractions that do not end are shown with so many digits.
DIGITS_SHOWN = 8
PERCENT_DECIMALS = Decimal("0.1")
DECIMALS_LEAST = Decimal("0.000000001")
EVERYTHING = Decimal(-100)
# Lists whose order means nothing; that of steps, tiers, allowances and discounts does.
UNORDERED = frozenset(
    {
        "called",
        "days",
        "except_holidays",
        "holidays",
        "hours",
        "percents",
        "prices",
        "scope",
        "time_band",
        "usage_types",
        "visited_network",
        "zones",
    }
)


def number(text: Any) -> Fraction | None:
    """The number that a text is; None when it is something else."""
    try:
        return Fraction(parse_number(text).to_decimal()) if isinstance(text, str) else None
    except Unreadable:
        return None


def quantity(text: Any) -> tuple[Fraction, str] | None:
    """A quantity in the unit that usage counts; None when the text is something else."""
    try:
        parsed = parse_unit_quantity(text) if isinstance(text, str) else None
    except Unreadable:
        return None
    return (Fraction(parsed.count.to_decimal()), parsed.unit) if parsed is not None else None


def canonical(terms: Any, key: str = "") -> Any:
    """Terms in a form in which what means the same is the same."""
    if isinstance(terms, dict):
        return {name: canonical(value, name) for name, value in terms.items()}
    if key == "increments" and isinstance(terms, str):
        steps = [_count(step) for step in terms.split("/")]
        return (steps[0], steps[-1])
    if key in UNORDERED:
        return sorted((canonical(item) for item in as_list(terms)), key=repr)
    if isinstance(terms, list):
        return [canonical(item) for item in terms] if len(terms) != 1 else canonical(terms[0])
    for read in (number, quantity):
        worth = read(terms)
        if worth is not None:
            return worth
    return terms


def _count(step: str) -> Any:
    """An increment in the unit of its price, said or not."""
    found = quantity(step.strip())
    return found[0] if found is not None else number(step.strip())


def exact(value: Fraction) -> str:
    """A number for people: all its digits where it ends, else the first ones."""
    with localcontext(Context(prec=60)) as context:
        decimal = Decimal(value.numerator) / Decimal(value.denominator)
        if Fraction(decimal) != value:
            context.prec = DIGITS_SHOWN
            decimal = +decimal
        whole = decimal == decimal.to_integral_value()
        return f"{decimal.to_integral_value():f}" if whole else f"{decimal.normalize():f}"


def percent(before: Fraction, after: Fraction) -> str | None:
    """By how many hundredths it changed, as in +5.9 %; None from zero."""
    if before == 0:
        return None
    changed = (after - before) / before * 100
    with localcontext(Context(prec=100)):
        exact_percent = Decimal(changed.numerator) / Decimal(changed.denominator)
        decimals = PERCENT_DECIMALS
        # What still costs something is not cheaper by all of it, as a price per kB that becomes one per GB.
        while after and decimals > DECIMALS_LEAST and exact_percent.quantize(decimals, ROUND_HALF_UP) == EVERYTHING:
            decimals /= 10
        rounded = exact_percent.quantize(decimals, ROUND_HALF_UP)
    if after and rounded == EVERYTHING:
        return None
    return f"{rounded.normalize() if rounded != rounded.to_integral_value() else rounded.to_integral_value():+f} %"
