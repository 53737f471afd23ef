"""The tax table, read from YAML: percentages by tax category, and what differs by country or state.

    rates:
      standard: 21
      us-communications: 8.25
    jurisdictions:
      CA/Quebec:
        standard:
          - {tax: gst, rate: 5}
          - {tax: qst, rate: 9.5, on: [gst], until: 2027-01-01}
          - {tax: qst, rate: 9.975, from: 2027-01-01}

Digits are taken from the text, so 8.25 never passes through a binary float.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

import yaml

from libs.billing.tax_table import EVERYWHERE, DatedTax, TaxTable
from libs.billing.taxes import Tax
from libs.exact_decimal import ENTERED, InvalidDecimal, parse_decimal

RATE_MAX = Decimal(100)
# Real rates have at most four; more digits are a slip of the pen, and a bill has to print them.
RATE_DECIMALS_MAX = 4
NAME_CHARS_MAX = 64
# A line with more taxes than these fits on no bill.
TAXES_MAX = 10

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TAX_KEYS = ("tax", "rate", "on", "from", "until")


class InvalidTaxRates(ValueError):
    """The table cannot be used; the message names the file, the line and the remedy."""


def parse_tax_rates(text: str, source: str) -> TaxTable:
    """The table; `source` names the file in errors. Raises InvalidTaxRates."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InvalidTaxRates(f"{source}: not readable as YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidTaxRates(f"{source}: expected a mapping with the key `rates`")
    parts = dict(_entries(root, source))
    unknown = [key for key in parts if key not in ("rates", "jurisdictions")]
    if unknown:
        raise InvalidTaxRates(f"{source}: unknown key {unknown[0]!r}; only `rates` and `jurisdictions` are known")
    rates = parts.get("rates")
    if not isinstance(rates, yaml.MappingNode) or not rates.value:
        raise InvalidTaxRates(f"{source}: `rates` must list at least one category, such as `standard: 21`")
    table = {EVERYWHERE: _categories(rates, source)}
    for place, node in _jurisdictions(parts.get("jurisdictions"), source):
        table[place] = _categories(node, source)
    return TaxTable(table)


def _jurisdictions(node: yaml.Node | None, source: str) -> Iterator[tuple[str, yaml.MappingNode]]:
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        raise InvalidTaxRates(
            f"{_place(source, node)}: `jurisdictions` lists countries, each with its categories, as in `ES: {{standard: 21}}`"
        )
    seen = set()
    for name, categories in _entries(node, source):
        parts = [part.strip().lower() for part in name.split("/")]
        place = "/".join(parts)
        if not all(parts) or len(parts) > 2:
            raise InvalidTaxRates(f"{_place(source, categories)}: {name!r} is no jurisdiction; write a country or country/state")
        if place in seen:
            raise InvalidTaxRates(f"{_place(source, categories)}: {name!r} is given twice, with other capitals")
        if not isinstance(categories, yaml.MappingNode) or not categories.value:
            raise InvalidTaxRates(f"{_place(source, categories)}: {name!r} must list at least one category, such as `standard: 21`")
        seen.add(place)
        yield place, categories


def _categories(node: yaml.MappingNode, source: str) -> dict[str, tuple[DatedTax, ...]]:
    return {category: _taxes(category, value, source) for category, value in _entries(node, source)}


def _taxes(category: str, node: yaml.Node, source: str) -> tuple[DatedTax, ...]:
    """One percentage, or a list of taxes in the order in which they are levied."""
    if not isinstance(node, yaml.SequenceNode) or not all(isinstance(item, yaml.MappingNode) for item in node.value) or not node.value:
        return (DatedTax(Tax(category, _rate(category, node, source))),)
    taxes: list[DatedTax] = []
    for item in node.value:
        tax = _dated_tax(category, item, [each.tax.category for each in taxes], source)
        for other in taxes:
            if other.tax.category == tax.tax.category and _overlap(other, tax):
                raise InvalidTaxRates(
                    f"{_place(source, item)}: {tax.tax.category!r} of {category!r} has two rates on the same day; "
                    "let one end with `until` where the other begins with `from`"
                )
        taxes.append(tax)
    if len(taxes) > TAXES_MAX:
        raise InvalidTaxRates(f"{_place(source, node)}: {category!r} has {len(taxes)} taxes; use at most {TAXES_MAX}")
    return tuple(taxes)


def _dated_tax(category: str, node: yaml.MappingNode, earlier: Sequence[str], source: str) -> DatedTax:
    fields = dict(_entries(node, source))
    place = _place(source, node)
    unknown = [key for key in fields if key not in _TAX_KEYS]
    if unknown:
        raise InvalidTaxRates(f"{place}: unknown key {unknown[0]!r} of a tax; use {', '.join(_TAX_KEYS)}")
    if "rate" not in fields:
        raise InvalidTaxRates(f"{place}: a tax of {category!r} has no rate; add `rate:`")
    name = _text(fields["tax"], source) if "tax" in fields else category
    on = _names(fields["on"], source) if "on" in fields else ()
    for other in on:
        if other not in earlier or other == name:
            raise InvalidTaxRates(f"{place}: {name!r} is levied on {other!r}, which is no tax above it; list that one first")
    starts, until = (_date(fields[key], source) if key in fields else None for key in ("from", "until"))
    if starts is not None and until is not None and starts >= until:
        raise InvalidTaxRates(f"{place}: {name!r} ends on {until}, before it begins on {starts}")
    return DatedTax(Tax(name, _rate(name, fields["rate"], source), on), starts, until)


def _overlap(one: DatedTax, other: DatedTax) -> bool:
    return (one.until is None or other.levied_from is None or other.levied_from < one.until) and (
        other.until is None or one.levied_from is None or one.levied_from < other.until
    )


def _entries(mapping: yaml.MappingNode, source: str) -> Iterator[tuple[str, yaml.Node]]:
    seen = set()
    for key, value in mapping.value:
        name = _text(key, source)
        if name in seen:
            raise InvalidTaxRates(f"{_place(source, key)}: {name!r} is given twice")
        seen.add(name)
        yield name, value


def _names(node: yaml.Node, source: str) -> tuple[str, ...]:
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    return tuple(_text(item, source) for item in items)


def _text(node: yaml.Node, source: str) -> str:
    if not isinstance(node, yaml.ScalarNode) or not node.value.strip() or len(node.value) > NAME_CHARS_MAX:
        raise InvalidTaxRates(f"{_place(source, node)}: a name must be a text of 1 to {NAME_CHARS_MAX} characters")
    return node.value


def _date(node: yaml.Node, source: str) -> date:
    text = node.value if isinstance(node, yaml.ScalarNode) else ""
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise InvalidTaxRates(f"{_place(source, node)}: {text!r} is not a day of the calendar; write it as in 2026-03-01")


def _rate(category: str, node: yaml.Node, source: str) -> Decimal:
    place = _place(source, node)
    remedy = f"{category!r} needs a percentage from 0 to {RATE_MAX} with at most {RATE_DECIMALS_MAX} decimals, such as 21"
    if not isinstance(node, yaml.ScalarNode):
        raise InvalidTaxRates(f"{place}: {remedy}")
    try:
        rate = parse_decimal(node.value, ENTERED)
    except InvalidDecimal:
        raise InvalidTaxRates(f"{place}: {remedy}, not {node.value!r}") from None
    if not 0 <= rate <= RATE_MAX or -int(rate.as_tuple().exponent) > RATE_DECIMALS_MAX:
        raise InvalidTaxRates(f"{place}: {remedy}, not {node.value!r}")
    return rate


def _place(source: str, node: yaml.Node) -> str:
    return f"{source}, line {node.start_mark.line + 1}"
