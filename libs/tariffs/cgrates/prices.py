"""A rate of CGRateS as a usage price of a rate book: connect fee, intervals, increments, rounding and greatest cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from libs.tariffs.cgrates.plan import DestinationRate, Length, RateSlot
from libs.tariffs.cgrates.tables import Remark, RemarkKind

# What the categories that everybody uses are called here, and what they count.
USAGE_TYPES = {
    "call": ("voice", "s"),
    "sms": ("sms", "message"),
    "mms": ("mms", "message"),
    "data": ("data", "byte"),
    "generic": ("generic", "event"),
}


@dataclass(frozen=True)
class Category:
    """A category as a usage type and the unit that it counts."""

    usage_type: str
    unit: str


def category_of(name: str, slots: Iterable[RateSlot]) -> Category:
    """Ours for the well-known ones; any other counts seconds where its rates do, else events."""
    if name in USAGE_TYPES:
        return Category(*USAGE_TYPES[name])
    return Category(name, "s" if any(slot.per.has_unit for slot in slots) else "event")


def price_terms(rate: DestinationRate, slots: tuple[RateSlot, ...], category: Category, remarks: list[Remark]) -> dict[str, Any]:
    """The price without id, description and match."""
    first = slots[0]
    remarks += _unit_remarks(slots, category)
    terms: dict[str, Any] = {}
    if len(slots) == 1 and not first.start.count:
        terms = {"price": _price(first, category), "increments": _quantity(first.increment, category)}
    else:
        if first.start.count:
            remarks.append(first.row.remark(RemarkKind.DIFFERS, f"nothing is said for the first {_quantity(first.start, category)}: free"))
            free = {"from": f"0 {category.unit}", "price": {"amount": "0", "per": f"1 {category.unit}"}}
        steps = [
            {
                "from": _quantity(slot.start, category),
                "price": _price(slot, category),
                "increments": _quantity(slot.increment, category),
            }
            for slot in slots
        ]
        terms = {"steps": [free, *steps] if first.start.count else steps}
    if first.connect_fee:
        terms["setup_fee"] = f"{first.connect_fee:f}"
    if rate.maximum:
        terms["maximum"] = f"{rate.maximum:f}"
        if rate.disconnects:
            remarks.append(rate.row.remark(RemarkKind.DIFFERS, f"a call is not ended at {rate.maximum:f}: what goes beyond it is free"))
    if rate.rounding:
        mode, decimals = rate.rounding
        terms["rounding"] = {"point": "record", "mode": mode, "decimals": str(decimals)}
    return terms


def _price(slot: RateSlot, category: Category) -> dict[str, str]:
    return {"amount": f"{slot.amount:f}", "per": _quantity(slot.per, category)}


def _quantity(length: Length, category: Category) -> str:
    return f"{length.count.normalize():f} {category.unit}"


def _unit_remarks(slots: tuple[RateSlot, ...], category: Category) -> Iterable[Remark]:
    for slot in slots:
        if slot.per.has_unit != (category.unit == "s"):
            stated = "in time" if slot.per.has_unit else "without a unit"
            yield slot.row.remark(RemarkKind.ASSUMED, f"a rate stated {stated} is read as per {_quantity(slot.per, category)}")
