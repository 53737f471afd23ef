"""Discounts, spending cap, minimum commitments and thresholds of an offering in a rate book."""

import re
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Final, Literal

from libs.contracts.adjustments import (
    EVERYTHING,
    Adjustments,
    AdjustmentScope,
    ChargedFor,
    Discount,
    DiscountTier,
    MinimumCommitment,
    SpendingCap,
    Thresholds,
)
from libs.pricing.book_terms import BookTerms
from libs.pricing.exact_number import ExactNumber, parse_number, parse_positive_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.reader import Reader
from libs.pricing.remedies import date_remedy, length_remedy
from libs.pricing.yaml_source import Mapping, Node, Scalar

KEYS = ("discounts", "spending_cap", "minimum_commitment", "thresholds", "tax")

_MODELS: tuple[Literal["percent", "fixed", "graduated", "volume"], ...] = ("percent", "fixed", "graduated", "volume")
_KINDS: Final[dict[str, tuple[ChargedFor, ...]]] = {
    "all": (),
    "usage": ("usage",),
    "recurring": ("recurring",),
    "one_time": ("oneTime",),
}
_WHOLE = Decimal(100)
# An offering that alarms more often than this is not read any more.
PERCENTS_MAX = 20
PERCENT_MAX = 1_000
_PERCENT = re.compile(r"\d{1,4}", re.ASCII)
# As many as three digits say.
FIRST_MONTHS_MAX = 999
_MONTHS = re.compile(r"(\d{1,3}) months?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_tax_inclusion(node: Node | None, reader: Reader) -> bool:
    """Whether the prices of an offering, and the amounts of its adjustments, include the taxes."""
    return reader.value(node, _parse_tax_inclusion, False)


def read_adjustments(fields: dict[str, Node], terms: BookTerms, prices: Sequence[str], fees: Sequence[str]) -> Adjustments:
    """What an offering's KEYS say; `prices` are the ids of its prices, which a scope may name, `fees` those that are not of usage."""
    discounts = tuple(_read_discount(node, terms, prices) for node in terms.reader.items(fields.get("discounts")))
    commitments = tuple(_read_commitment(node, terms, prices) for node in terms.reader.items(fields.get("minimum_commitment")))
    cap_node, thresholds_node = fields.get("spending_cap"), fields.get("thresholds")
    cap = _read_cap(cap_node, terms, prices) if cap_node is not None else None
    if cap_node is not None and cap is not None:
        for commitment in commitments:
            if commitment.period == "month" and commitment.scope == cap.scope and commitment.amount > cap.amount:
                terms.reader.refuse(
                    cap_node,
                    f"a cap of {cap.amount:f} below the minimum commitment of {commitment.amount:f}",
                    "raise the cap, or lower the commitment",
                )
    return Adjustments(
        discounts=discounts,
        spending_cap=cap,
        commitments=commitments,
        thresholds=_read_thresholds(thresholds_node, terms, prices, fees) if thresholds_node is not None else None,
    )


def _read_discount(node: Node, terms: BookTerms, prices: Sequence[str]) -> Discount:
    reader = terms.reader
    optional = (*_MODELS, "maximum", "scope", "applied", "for_first", "from", "until")
    fields = reader.fields(node, ("id", "description"), optional)
    id = terms.declare(fields.get("id"), "discount") or "-"
    given = [model for model in _MODELS if model in fields]
    if isinstance(node, Mapping) and len(given) != 1:
        reader.refuse(node, f"a discount by {' and '.join(given) or 'nothing'}", "say exactly one of percent, fixed, graduated, volume")
    model = given[0] if given else "percent"
    is_after_tax = reader.value(fields.get("applied"), _parse_applied, False)
    if is_after_tax and "scope" in fields:
        reader.refuse(fields["scope"], "a discount after tax is on all charges", "leave the scope out or apply it before tax")
    holds_from, holds_until = (reader.value(fields.get(key), _parse_date, None) for key in ("from", "until"))
    if holds_from is not None and holds_until is not None and holds_from >= holds_until:
        reader.refuse(fields["until"], f"it ends on {holds_until}, before it begins on {holds_from}", "let it end after it begins")
    return Discount(
        id=id,
        description=reader.text(fields.get("description")),
        model=model,
        percent=reader.value(fields.get("percent"), _parse_percent, Decimal(0)) if model == "percent" else None,
        amount=_positive(reader, fields.get("fixed")) if model == "fixed" else None,
        tiers=_read_tiers(fields[model], reader) if model in ("graduated", "volume") else (),
        maximum=_positive(reader, fields["maximum"]) if "maximum" in fields else None,
        scope=_read_scope(fields.get("scope"), reader, prices),
        is_after_tax=is_after_tax,
        first_months=reader.value(fields.get("for_first"), _parse_months, None),
        holds_from=holds_from,
        holds_until=holds_until,
    )


def _read_tiers(node: Node, reader: Reader) -> tuple[DiscountTier, ...]:
    """Tiers in ascending order; the last one, and only that, has no end."""
    tiers: list[DiscountTier] = []
    items = reader.items(node)
    reached = Decimal(0)
    for position, item in enumerate(items):
        is_last = position == len(items) - 1
        fields = reader.fields(item, ("percent",) if is_last else ("up_to", "percent"), ("up_to",) if is_last else ())
        up_to = _positive(reader, fields["up_to"]) if "up_to" in fields else None
        if is_last and up_to is not None:
            reader.refuse(fields["up_to"], "the last tier has an end, and sums beyond it have no percentage", "leave `up_to` out there")
        elif up_to is not None and up_to <= reached:
            reader.refuse(fields["up_to"], f"a tier up to {up_to:f} after one up to {reached:f}", "let tiers end in rising order")
        reached = up_to or reached
        tiers.append(DiscountTier(up_to=up_to, percent=reader.value(fields.get("percent"), _parse_share, Decimal(0))))
    return tuple(tiers)


def _read_cap(node: Node, terms: BookTerms, prices: Sequence[str]) -> SpendingCap:
    reader = terms.reader
    fields = reader.fields(node, ("id", "description", "amount"), ("scope",))
    return SpendingCap(
        id=terms.declare(fields.get("id"), "cap") or "-",
        description=reader.text(fields.get("description")),
        amount=reader.value(fields.get("amount"), parse_number, ExactNumber(0)).to_decimal(),
        scope=_read_scope(fields.get("scope"), reader, prices),
    )


def _read_commitment(node: Node, terms: BookTerms, prices: Sequence[str]) -> MinimumCommitment:
    reader = terms.reader
    fields = reader.fields(node, ("id", "description", "amount"), ("period", "scope", "proration", "tax_category"))
    period = reader.value(fields.get("period"), _parse_period, "month")
    if period != "month" and "scope" in fields:
        reader.refuse(fields["scope"], f"a commitment of a {period} counts all charges", "leave the scope out, or commit to each month")
    return MinimumCommitment(
        id=terms.declare(fields.get("id"), "commitment") or "-",
        description=reader.text(fields.get("description")),
        amount=_positive(reader, fields.get("amount")),
        period=period,
        scope=_read_scope(fields.get("scope"), reader, prices),
        is_prorated=reader.value(fields.get("proration"), _parse_proration, True),
        tax_category=reader.identifier(fields.get("tax_category")) or None,
    )


def _read_thresholds(node: Node, terms: BookTerms, prices: Sequence[str], fees: Sequence[str]) -> Thresholds:
    reader = terms.reader
    fields = reader.fields(node, ("id", "amount", "percents"), ("scope",))
    items = reader.items(fields.get("percents"))
    percents = tuple(reader.value(item, _parse_whole_percent, 0) for item in items)
    if len(items) > PERCENTS_MAX:
        reader.refuse(fields["percents"], f"{len(items)} thresholds", f"use at most {PERCENTS_MAX}")
    elif list(percents) != sorted(set(percents)) and 0 not in percents:
        reader.refuse(fields["percents"], "the percentages do not rise", "list each once, the lowest first")
    return Thresholds(
        id=terms.declare(fields.get("id"), "threshold") or "-",
        amount=_positive(reader, fields.get("amount")),
        percents=percents,
        scope=_read_usage_scope(fields.get("scope"), reader, prices, fees),
    )


def _read_usage_scope(node: Node | None, reader: Reader, prices: Sequence[str], fees: Sequence[str]) -> AdjustmentScope:
    """`usage`, which is what it is when left out, or usage prices."""
    faults_before = len(reader.faults)
    scope = _read_scope(node, reader, prices)
    if node is not None and len(reader.faults) == faults_before:
        named = [id for id in scope.price_ids if id in fees]
        if named or not (scope.price_ids or scope.kinds == ("usage",)):
            what = f"price {named[0]!r} is no usage price" if named else "more than usage"
            reader.refuse(node, what, "thresholds are noticed when usage comes: use `usage`, or `prices: [ids]` of usage prices")
    return scope


def _read_scope(node: Node | None, reader: Reader, prices: Sequence[str]) -> AdjustmentScope:
    """`usage`, `recurring`, `one_time` or a list of them, `all`, or `{prices: [ids]}`."""
    if node is None:
        return EVERYTHING
    if isinstance(node, Mapping):
        fields = reader.fields(node, ("prices",))
        ids = [(item, reader.identifier(item)) for item in reader.items(fields.get("prices"))]
        for item, id in ids:
            if id and id not in prices:
                reader.refuse(item, f"unknown price {id!r}", suggest(id, prices, "use the id of a price of this offering"))
        return AdjustmentScope(price_ids=tuple(id for _, id in ids if id))
    kinds: list[ChargedFor] = []
    for item in reader.items(node):
        kinds += reader.value(item, _parse_kind, ())
    if any(isinstance(item, Scalar) and item.text == "all" for item in reader.items(node)):
        return EVERYTHING
    return AdjustmentScope(kinds=tuple(dict.fromkeys(kinds)))


def _positive(reader: Reader, node: Node | None) -> Decimal:
    return reader.value(node, parse_positive_number, ExactNumber(1)).to_decimal()


def _parse_kind(text: str) -> tuple[ChargedFor, ...]:
    if text not in _KINDS:
        raise Unreadable(f"unknown scope {text[:80]!r}", suggest(text, list(_KINDS), f"use {', '.join(_KINDS)}, or `prices: [ids]`"))
    return _KINDS[text]


def _parse_percent(text: str) -> Decimal:
    parse_positive_number(text)
    return _parse_share(text)


def _parse_share(text: str) -> Decimal:
    percent = parse_number(text).to_decimal()
    if percent > _WHOLE:
        raise Unreadable(f"{text} percent is more than the whole", "use at most 100")
    return percent


def _parse_whole_percent(text: str) -> int:
    if not _PERCENT.fullmatch(text) or not 1 <= int(text) <= PERCENT_MAX:
        raise Unreadable(f"{text[:80]!r} is not a percentage", f"use whole numbers from 1 to {PERCENT_MAX}")
    return int(text)


def _parse_months(text: str) -> int | None:
    months = _MONTHS.fullmatch(text)
    if months is None or int(months[1]) == 0:
        remedy = length_remedy(text, "month", FIRST_MONTHS_MAX) or "write it as in 3 months"
        raise Unreadable(f"{text[:80]!r} is not a number of months", remedy)
    return int(months[1])


def _parse_date(text: str) -> date | None:
    if not _DATE.fullmatch(text):
        raise Unreadable(f"{text[:80]!r} is not a date", date_remedy(text) or "write it as in 2026-03-01")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"{text!r} is not a day of the calendar", "check month and day") from None


def _parse_applied(text: str) -> bool:
    if text not in ("before_tax", "after_tax"):
        raise Unreadable(f"{text[:80]!r} is not when a discount applies", "use before_tax or after_tax")
    return text == "after_tax"


def _parse_tax_inclusion(text: str) -> bool:
    if text not in ("included", "excluded"):
        raise Unreadable(f"{text[:80]!r} does not tell whether prices include tax", "use included or excluded")
    return text == "included"


def _parse_period(text: str) -> Literal["month", "quarter", "year"]:
    match text:
        case "month" | "quarter" | "year":
            return text
    raise Unreadable(
        f"{text[:80]!r} is no period of a commitment", suggest(text, ["month", "quarter", "year"], "use month, quarter or year")
    )


def _parse_proration(text: str) -> bool:
    if text not in ("by_day", "none"):
        raise Unreadable(f"unknown proration {text[:80]!r}", "use by_day or none")
    return text == "by_day"
