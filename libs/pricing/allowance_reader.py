"""Allowances of a rate book: what they give, to which usage, for how long and to whom."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from enum import StrEnum
from fractions import Fraction
from functools import partial
from typing import TypeVar

from libs.pricing.allowance import EVENT, GENERIC, Allowance, Burns, Coverage, Recurrence, Rollover, Shared
from libs.pricing.allowance_sources import PERIODS_BACK_MAX, periods_valid
from libs.pricing.book_terms import BookTerms
from libs.pricing.compiled_price import CompiledPrice
from libs.pricing.exact_number import parse_number, parse_positive_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.prefix_reader import read_prefixes
from libs.pricing.remedies import date_remedy, length_remedy
from libs.pricing.roaming import Roaming
from libs.pricing.roaming_reader import read_roaming
from libs.pricing.unit import MONEY, parse_unit_quantity
from libs.pricing.yaml_source import Node

# Each is looked at for every price; what a customer gets beyond these nobody can explain.
ALLOWANCES_MAX = 50
GRANT_ALIKE = "give both the same amount, recurrence, validity, expiry and rollover, or different ids"
PRIORITY = 10
PRIORITY_MAX = 1_000
OPTIONAL = ("covers", "priority", "recurrence", "validity", "expires", "rollover", "shared", "factors")

_PRIORITY = re.compile(r"\d{1,4}", re.ASCII)
# As many as four digits say.
VALIDITY_DAYS_MAX = 9_999
_DAYS = re.compile(r"(\d{1,4}) days?", re.ASCII)
_PERIODS = re.compile(r"(\d{1,3}) periods?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_NO_AMOUNT: tuple[Fraction, str | None] = (Fraction(1), None)
W = TypeVar("W", bound=StrEnum)


def read_allowances(
    node: Node | None, terms: BookTerms, price_ids: Sequence[str], prices: Sequence[CompiledPrice]
) -> tuple[Allowance, ...]:
    """An offering's. `price_ids` are all its usage prices, `prices` those without a fault; none of them when names have faults."""
    items = terms.reader.items(node)
    if node is not None and len(items) > ALLOWANCES_MAX:
        terms.reader.refuse(node, f"{len(items)} allowances", f"use at most {ALLOWANCES_MAX}")
        return ()
    # Their ids are apart from those of prices: what is on the bill and what is in a bucket are never taken for one another.
    own = replace(terms, declared={})
    read = [_read_allowance(item, own, price_ids, prices) for item in items]
    return tuple(allowance for allowance in read if allowance is not None)


def _read_allowance(node: Node, terms: BookTerms, price_ids: Sequence[str], prices: Sequence[CompiledPrice]) -> Allowance | None:
    reader = terms.reader
    faults_before = len(reader.faults)
    fields = reader.fields(node, ("id", "description", "amount"), OPTIONAL)
    amount, unit = reader.value(fields.get("amount"), _parse_amount, _NO_AMOUNT)
    allowance = Allowance(
        id=terms.declare(fields.get("id"), "allowance"),
        description=reader.text(fields.get("description")),
        amount=amount,
        unit=unit or terms.currency,
        is_money=unit is None,
        covers=_read_coverage(fields.get("covers"), terms, price_ids),
        priority=reader.value(fields.get("priority"), _parse_priority, PRIORITY),
        recurrence=reader.value(fields.get("recurrence"), partial(_parse_word, Recurrence, "recurrence"), Recurrence.MONTH),
        validity_days=reader.value(fields.get("validity"), _parse_days, None),
        expires=reader.value(fields.get("expires"), _parse_date, None),
        rollover=_read_rollover(fields["rollover"], terms, unit) if "rollover" in fields else None,
        shared=reader.value(fields.get("shared"), partial(_parse_word, Shared, "owner"), Shared.PRODUCT),
        factors=_read_factors(fields.get("factors"), terms),
        place=node.place,
    )
    if len(reader.faults) == faults_before:
        _refuse_contradictions(fields, node, allowance, terms)
    if len(reader.faults) == faults_before:
        _refuse_useless(node, allowance, prices, terms)
    return allowance if len(reader.faults) == faults_before else None


def _read_coverage(node: Node | None, terms: BookTerms, price_ids: Sequence[str]) -> Coverage:
    reader = terms.reader
    fields = reader.fields(node, (), ("usage_types", "zones", "called", "prices", "roaming"))
    called = set(read_prefixes(fields["called"], reader)) if "called" in fields else set()
    for item in reader.items(fields.get("zones")):
        called.update(reader.reference(item, terms.zones, "zone") or ())
    known = partial(_parse_known, price_ids, "usage price", "use the id of a usage price of this offering")
    return Coverage(
        usage_types=frozenset(reader.identifier(item) for item in reader.items(fields.get("usage_types"))),
        prices=frozenset(reader.value(item, known, "") for item in reader.items(fields.get("prices"))),
        called=tuple(sorted(called)),
        # Prices that are named say themselves whether they are for usage abroad.
        roaming=read_roaming(fields.get("roaming"), terms, None if "prices" in fields else Roaming.EXCLUDED),
    )


def _read_rollover(node: Node, terms: BookTerms, unit: str | None) -> Rollover:
    reader = terms.reader
    fields = reader.fields(node, (), ("max", "min", "lasts", "burns"))
    of_unit = partial(_parse_amount_of, unit)
    most, least = (reader.value(fields.get(key), of_unit, None) for key in ("max", "min"))
    if most is not None and least is not None and least > most:
        reader.refuse(fields["min"], "`min` is more than `max`", "lower it, or raise `max`")
    return Rollover(
        most=most,
        least=least or Fraction(0),
        lasts=reader.value(fields.get("lasts"), _parse_periods, 1),
        burns=reader.value(fields.get("burns"), partial(_parse_word, Burns, "order"), Burns.FIRST),
    )


def _read_factors(node: Node | None, terms: BookTerms) -> Mapping[str, tuple[Fraction, str]]:
    named = terms.reader.named(node, "60 s")
    read = {name: terms.reader.value(item, parse_unit_quantity, None) for name, item in named.items()}
    return {name: (Fraction(factor.count.to_decimal()), factor.unit) for name, factor in read.items() if factor is not None}


def _refuse_contradictions(fields: Mapping[str, Node], node: Node, allowance: Allowance, terms: BookTerms) -> None:
    refuse = terms.reader.refuse
    is_once = allowance.recurrence is Recurrence.ONCE
    if allowance.unit == GENERIC and not allowance.factors:
        refuse(node, "a balance in units, without factors", "say how much usage takes one unit, as in `factors: {voice: 60 s}`")
    if allowance.factors and allowance.unit != GENERIC:
        refuse(fields["factors"], f"factors of an allowance in {allowance.unit}", f"state the amount in {GENERIC} or leave them out")
    if allowance.rollover and is_once:
        refuse(fields["rollover"], "nothing rolls over from an allowance granted once", "leave `rollover` out or say when it recurs")
    if allowance.rollover and allowance.validity_days is not None:
        refuse(fields["rollover"], "both `validity` and `rollover` are given", "keep one of the two")
    if allowance.validity_days is not None:
        if is_once and allowance.shared is not Shared.PRODUCT:
            refuse(fields["validity"], "validity counts from the start of one product, and several share this", "say when it `expires`")
        elif periods_valid(allowance.validity_days, allowance.recurrence) > PERIODS_BACK_MAX:
            refuse(
                fields["validity"],
                f"valid for more than {PERIODS_BACK_MAX} times its recurrence",
                "use a shorter validity, or grant more and less often",
            )


def _refuse_useless(node: Node, allowance: Allowance, prices: Sequence[CompiledPrice], terms: BookTerms) -> None:
    if prices and not any(allowance.covers_price(price) for price in prices):
        counted = "prices that count each usage by itself" if allowance.is_money else f"prices in {allowance.unit}"
        if allowance.unit == EVENT:
            counted = "prices in event, or name prices in money, whose usages it pays whole"
        if allowance.factors:
            counted = "the usage types of its factors, in their units"
        terms.reader.refuse(node, f"allowance {allowance.id!r} covers no usage price of this offering", f"cover {counted}, or remove it")


def granted(allowance: Allowance) -> tuple[object, ...]:
    """What whoever shares an allowance must say alike: what makes its bucket."""
    return allowance.amount, allowance.unit, allowance.recurrence, allowance.validity_days, allowance.rollover, allowance.expires


def refuse_different_shares(allowances: Iterable[Allowance], terms: BookTerms) -> None:
    """Note a fault of each shared allowance that another offering of the book grants otherwise: they are one bucket."""
    known: dict[tuple[Shared, str], Allowance] = {}
    for allowance in allowances:
        if allowance.shared is Shared.PRODUCT:
            continue
        first = known.setdefault((allowance.shared, allowance.id), allowance)
        if granted(allowance) != granted(first) and allowance.place is not None and first.place is not None:
            terms.reader.faults.append(
                allowance.place.fault(
                    f"allowance {allowance.id!r} is shared, and line {first.place.line} grants it otherwise",
                    GRANT_ALIKE,
                )
            )


def _parse_amount(text: str) -> tuple[Fraction, str | None]:
    """`100 min`, `1000 unit`, or `10.00`, which is money. Raises Unreadable."""
    number, _, unit = text.partition(" ")
    if not unit:
        return Fraction(parse_positive_number(text).to_decimal()), None
    if unit.strip() == GENERIC:
        return Fraction(parse_positive_number(number).to_decimal()), GENERIC
    if unit.strip() == MONEY or _CURRENCY.fullmatch(unit.strip()):
        raise Unreadable(f"{text[:80]!r} has a unit, and money has none", f"write {number[:40]}, which is in the currency of the book")
    quantity = parse_unit_quantity(text)
    return Fraction(quantity.count.to_decimal()), quantity.unit


def _parse_amount_of(unit: str | None, text: str) -> Fraction:
    if not text.partition(" ")[1] and unit is None:
        return Fraction(parse_number(text).to_decimal())
    number, _, stated_in = text.partition(" ")
    if stated_in and re.fullmatch(r"0+(\.0+)?", number):
        # Nothing at all is a bound as well, though nobody sells it.
        return _parse_amount_of(unit, f"1 {stated_in}") * 0
    amount, own_unit = _parse_amount(text)
    if own_unit != unit:
        raise Unreadable(f"{text[:80]!r} is not in {unit or 'money'}, as the amount is", "state both in the same unit or multiples of it")
    return amount


def _parse_priority(text: str) -> int:
    if not _PRIORITY.fullmatch(text) or int(text) > PRIORITY_MAX:
        raise Unreadable(f"{text[:80]!r} is not a priority", f"write a whole number from 0 to {PRIORITY_MAX}; the lower one burns first")
    return int(text)


def _parse_days(text: str) -> int:
    remedy = length_remedy(text, "day", VALIDITY_DAYS_MAX) or "write a number of days, as in 30 days"
    return _parse_count(_DAYS, text, "a validity", remedy)


def _parse_periods(text: str) -> int:
    periods = _parse_count(_PERIODS, text, "a number of periods", "write it as in 1 period or 2 periods")
    if periods > PERIODS_BACK_MAX:
        raise Unreadable(f"{text!r} are too many", f"use at most {PERIODS_BACK_MAX}")
    return periods


def _parse_count(form: re.Pattern[str], text: str, what: str, remedy: str) -> int:
    counted = form.fullmatch(text)
    if counted is None or int(counted[1]) == 0:
        raise Unreadable(f"{text[:80]!r} is not {what}", remedy)
    return int(counted[1])


def _parse_date(text: str) -> date:
    if not _DATE.fullmatch(text):
        remedy = date_remedy(text) or "write it as in 2026-12-31"
        raise Unreadable(f"{text[:80]!r} is not a date", f"{remedy}; from that day on nothing is left")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"{text!r} is not a day of the calendar", "check month and day") from None


def _parse_word(words: type[W], what: str, text: str) -> W:
    known = [word.value for word in words]
    return words(_parse_known(known, what, f"use {', '.join(known)}", text))


def _parse_known(known: Sequence[str], what: str, otherwise: str, text: str) -> str:
    if text not in known:
        raise Unreadable(f"unknown {what} {text[:80]!r}", suggest(text, known, otherwise))
    return text
