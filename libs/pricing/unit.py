"""Units in which usage is counted (s, byte, message, event, money) and the larger ones in which it is sold (min, MB …)."""

import re
from dataclasses import dataclass

from libs.pricing.exact_number import ExactNumber, parse_positive_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.remedies import ENDLESS, unit_remedy

MONEY = "money"

# Name: the unit that usage counts, and how many of those one makes.
UNITS: dict[str, tuple[str, int]] = {
    "s": ("s", 1),
    "min": ("s", 60),
    "h": ("s", 3_600),
    "byte": ("byte", 1),
    "kB": ("byte", 10**3),
    "MB": ("byte", 10**6),
    "GB": ("byte", 10**9),
    "TB": ("byte", 10**12),
    "KiB": ("byte", 2**10),
    "MiB": ("byte", 2**20),
    "GiB": ("byte", 2**30),
    "message": ("message", 1),
    "event": ("event", 1),
    # In the currency of the book: what a percentage is taken of.
    MONEY: (MONEY, 1),
}

_TOGETHER = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]+)", re.ASCII)
_QUANTITY = re.compile(r"(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class UnitQuantity:
    """So many of a unit that usage counts: `1 MB` is 1,000,000 byte. `stated_in` is the unit as written."""

    count: ExactNumber
    unit: str
    stated_in: str


def parse_unit_quantity(text: str) -> UnitQuantity:
    """A number and a unit, as in `60 s` or `1 MB`. Raises Unreadable."""
    parts = _QUANTITY.fullmatch(text)
    if parts is None:
        together = _TOGETHER.fullmatch(text)
        unit = next((unit for unit in UNITS if together and unit.lower() == together[2].lower()), None)
        remedy = f"write {together[1]} {unit}" if together and unit else None
        remedy = remedy or ("write a number nobody reaches, as in 1000 GB" if text.strip().lower() in ENDLESS else None)
        raise Unreadable(
            f"{text[:80]!r} is not a quantity with its unit", remedy or "write a number, a blank and a unit, as in 60 s or 1 MB"
        )
    number, name = parse_positive_number(parts[1]), parts[2]
    if name not in UNITS:
        remedy = unit_remedy(name, UNITS) or suggest(name, list(UNITS), f"use one of {', '.join(UNITS)}")
        raise Unreadable(f"unknown unit {name[:80]!r}", remedy)
    unit, count = UNITS[name]
    return UnitQuantity(ExactNumber(number.digits * count, number.decimals), unit, name)
