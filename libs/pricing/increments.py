"""Increments: usage is charged in whole steps. `60/1` charges a first block of 60 and single units after it."""

from dataclasses import dataclass

from libs.pricing.exact_number import ExactNumber, parse_positive_number
from libs.pricing.faults import Unreadable
from libs.pricing.unit import UNITS, UnitQuantity, parse_unit_quantity

# Tenths, hundredths and thousandths of a second or a message; finer steps would only make numerators long.
DECIMALS_MAX = 3


@dataclass(frozen=True, slots=True)
class Increments:
    """The least quantity that is charged, and the step of what goes beyond it, both in the unit that usage counts."""

    first: ExactNumber
    then: ExactNumber


ONE_BY_ONE = Increments(ExactNumber(1), ExactNumber(1))
# Instants have milliseconds, and so have durations; other quantities are taken to the millionth.
NONE_IN_SECONDS = Increments(ExactNumber(1, 3), ExactNumber(1, 3))
NONE = Increments(ExactNumber(1, 6), ExactNumber(1, 6))


def parse_increments(text: str, per: UnitQuantity) -> Increments:
    """`60/1`, `30 s/6 s`, `1 kB` (which is `1 kB/1 kB`), `none`; a bare number takes the unit of `per`. Raises Unreadable."""
    if text == "none":
        return no_increments(per.unit)
    parts = [part.strip() for part in text.split("/")]
    if len(parts) > 2:
        raise Unreadable(f"{text[:80]!r} has more than a first and a next increment", "write one or two, as in 1 or 60/1")
    steps = [parse_step(part, per) for part in parts]
    return Increments(steps[0], steps[-1])


def no_increments(unit: str) -> Increments:
    """The quantity as it is, as exactly as this unit is counted."""
    return NONE_IN_SECONDS if unit == "s" else NONE


def parse_step(text: str, per: UnitQuantity) -> ExactNumber:
    """A positive quantity in the unit of `per`, such as `60` or `1 kB`, to three decimals. Raises Unreadable."""
    if " " in text:
        quantity = parse_unit_quantity(text)
        if quantity.unit != per.unit:
            raise Unreadable(
                f"{text!r} is not counted in {per.unit}, as the price is",
                f"state price and increments both in {per.unit} or multiples of it",
            )
        number = quantity.count
    else:
        number = parse_positive_number(text)
        if UNITS[per.stated_in][1] != 1:
            raise Unreadable(
                f"{text!r} has no unit", f"say {text} {per.unit} or {text} {per.stated_in}, because the price is per {per.stated_in}"
            )
    if number.decimals > DECIMALS_MAX:
        raise Unreadable(f"{text!r} is too fine", f"use at most {DECIMALS_MAX} decimals")
    return number
