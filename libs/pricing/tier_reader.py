"""Prices that depend on a whole quantity, as a rate book says them: graduated, volume and package."""

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from typing import Literal

from libs.contracts import ChargeTiers, Tier
from libs.pricing.book_terms import BookTerms
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.increments import parse_step
from libs.pricing.reader import Reader
from libs.pricing.unit import UnitQuantity, parse_unit_quantity
from libs.pricing.usage_price import ZERO, Tiers
from libs.pricing.yaml_source import Node

COUNTED = ("period", "record")
LATE_USAGE = ("continue", "restart")
# Nobody can explain more tiers to a customer.
TIERS_MAX = 50


def read_tiers(model: Literal["graduated", "volume", "package"], fields: dict[str, Node], terms: BookTerms) -> Tiers | None:
    """None when a fault leaves no unit to count in."""
    reader = terms.reader
    counted = reader.value(fields.get("counted"), partial(_parse_word, words=COUNTED), "period")
    late = reader.value(fields.get("late_usage"), partial(_parse_word, words=LATE_USAGE), "continue")
    if "late_usage" in fields and counted == "record":
        reader.refuse(fields["late_usage"], "each record is counted by itself, late or not", "leave `late_usage` out, or count by period")
    read = _read_package(fields[model], reader) if model == "package" else _read_tier_list(model, fields[model], reader)
    if read is None:
        return None
    tiers, unit = read
    return Tiers(tiers, unit, counted_by_record=counted == "record", late_restarts=late == "restart")


def _read_package(node: Node, reader: Reader) -> tuple[ChargeTiers, str] | None:
    fields = reader.fields(node, ("amount", "per"), ("free",))
    per = reader.value(fields.get("per"), parse_unit_quantity, None)
    amount = reader.value(fields.get("amount"), parse_number, ZERO)
    if per is None:
        return None
    free = reader.value(fields.get("free"), partial(parse_step, per=per), ZERO)
    pack = per.count.to_decimal()
    tier = Tier(amount=amount.to_decimal(), per=pack, increment=pack)
    return ChargeTiers(model="package", tiers=(tier,), free_quantity=free.to_decimal()), per.unit


def _read_tier_list(model: Literal["graduated", "volume"], node: Node, reader: Reader) -> tuple[ChargeTiers, str] | None:
    items = reader.items(node)
    if len(items) > TIERS_MAX:
        reader.refuse(node, f"{len(items)} tiers", f"use at most {TIERS_MAX}")
        return None
    read = [reader.fields(item, (), ("up_to", "price", "flat", "increments")) for item in items]
    # What cannot be read is told again where it is read, unless nothing else will be.
    quiet = Reader()
    unit = next(_units(read, quiet), None)
    if unit is None:
        reader.faults.extend(quiet.faults)
        if items and not quiet.faults:
            reader.refuse(node, "no tier says a unit", "give one of them a `price:` or an `up_to:` with its unit")
        return None
    tiers: list[Tier] = []
    bound: Decimal | None = Decimal(0)
    for position, (item, fields) in enumerate(zip(items, read, strict=True)):
        tier = _read_tier(fields, unit, reader)
        if position and "up_to" not in read[position - 1]:
            reader.refuse(item, "it comes after a tier without end", "give the tier before it an `up_to:`, or remove this one")
        elif tier.up_to is not None and bound is not None and tier.up_to <= bound:
            reader.refuse(
                fields["up_to"], f"the tier ends at {tier.up_to:f}, where it begins or before", "let `up_to` grow from tier to tier"
            )
        if not fields.keys() & {"price", "flat"}:
            reader.refuse(item, "the tier has no price", "add `price:` or `flat:`, if need be with an amount of 0")
        tiers.append(tier)
        bound = tier.up_to
    if tiers[-1].up_to is not None:
        reader.refuse(items[-1], f"what goes beyond {tiers[-1].up_to:f} has no price", "add a last tier without `up_to:`")
    return ChargeTiers(model=model, tiers=tuple(tiers)), unit.unit


def _units(tiers: list[dict[str, Node]], reader: Reader) -> Iterator[UnitQuantity]:
    """The units of the tiers, those of prices first."""
    prices = [reader.fields(fields["price"], ("amount", "per")).get("per") for fields in tiers if "price" in fields]
    for node in (*prices, *(fields.get("up_to") for fields in tiers)):
        found = reader.value(node, parse_unit_quantity, None)
        if found is not None:
            yield found


def _read_tier(fields: dict[str, Node], unit: UnitQuantity, reader: Reader) -> Tier:
    price = reader.fields(fields["price"], ("amount", "per")) if "price" in fields else {}
    per = reader.value(price.get("per"), partial(_parse_same_unit, unit=unit), UnitQuantity(ExactNumber(1), unit.unit, unit.unit))
    increment = reader.value(fields.get("increments"), partial(parse_step, per=per), None)
    up_to = reader.value(fields.get("up_to"), partial(_parse_bound, unit=unit), None)
    return Tier(
        up_to=None if up_to is None else up_to.to_decimal(),
        amount=reader.value(price.get("amount"), parse_number, ZERO).to_decimal(),
        per=per.count.to_decimal(),
        increment=None if increment is None else increment.to_decimal(),
        flat=reader.value(fields.get("flat"), parse_number, ZERO).to_decimal(),
    )


def _parse_bound(text: str, unit: UnitQuantity) -> ExactNumber:
    return parse_step(text, unit) if " " not in text else _parse_same_unit(text, unit).count


def _parse_same_unit(text: str, unit: UnitQuantity) -> UnitQuantity:
    quantity = parse_unit_quantity(text)
    if quantity.unit != unit.unit:
        raise Unreadable(
            f"{text!r} is not counted in {unit.unit}, as other tiers are", f"state all tiers in {unit.unit} or multiples of it"
        )
    return quantity


def _parse_word(text: str, words: tuple[str, ...]) -> str:
    if text not in words:
        raise Unreadable(f"{text[:80]!r} is not known here", suggest(text, words, f"use {' or '.join(words)}"))
    return text
