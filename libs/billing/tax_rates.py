"""The tax rate table: one exact percentage per tax category, read from YAML.

    rates:
      standard: 21
      us-communications: 8.25

Digits are taken from the text, so 8.25 never passes through a binary float.
"""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation

import yaml

RATE_MAX = Decimal(100)
# Real rates have at most four; more digits are a slip of the pen, and a bill has to print them.
RATE_DECIMALS_MAX = 4
CATEGORY_CHARS_MAX = 64


class InvalidTaxRates(ValueError):
    """The table cannot be used; the message names the file, the line and the remedy."""


def parse_tax_rates(text: str, source: str) -> dict[str, Decimal]:
    """Percentages by tax category; `source` names the file in errors. Raises InvalidTaxRates."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise InvalidTaxRates(f"{source}: not readable as YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise InvalidTaxRates(f"{source}: expected a mapping with the key `rates`")
    tables = [value for key, value in _entries(root, source) if key == "rates"]
    unknown = [key for key, _ in _entries(root, source) if key != "rates"]
    if unknown:
        raise InvalidTaxRates(f"{source}: unknown key {unknown[0]!r}; only `rates` is known")
    if not tables or not isinstance(tables[0], yaml.MappingNode) or not tables[0].value:
        raise InvalidTaxRates(f"{source}: `rates` must list at least one category, such as `standard: 21`")
    return {category: _rate(category, node, source) for category, node in _entries(tables[0], source)}


def _entries(mapping: yaml.MappingNode, source: str) -> Iterator[tuple[str, yaml.Node]]:
    seen = set()
    for key, value in mapping.value:
        if not isinstance(key, yaml.ScalarNode) or not key.value.strip() or len(key.value) > CATEGORY_CHARS_MAX:
            raise InvalidTaxRates(f"{_place(source, key)}: a name must be a text of 1 to {CATEGORY_CHARS_MAX} characters")
        if key.value in seen:
            raise InvalidTaxRates(f"{_place(source, key)}: {key.value!r} is given twice")
        seen.add(key.value)
        yield key.value, value


def _rate(category: str, node: yaml.Node, source: str) -> Decimal:
    place = _place(source, node)
    remedy = f"{category!r} needs a percentage from 0 to {RATE_MAX} with at most {RATE_DECIMALS_MAX} decimals, such as 21"
    if not isinstance(node, yaml.ScalarNode):
        raise InvalidTaxRates(f"{place}: {remedy}")
    try:
        rate = Decimal(node.value)
    except InvalidOperation:
        raise InvalidTaxRates(f"{place}: {remedy}, not {node.value!r}") from None
    if not rate.is_finite() or not 0 <= rate <= RATE_MAX or -int(rate.as_tuple().exponent) > RATE_DECIMALS_MAX:
        raise InvalidTaxRates(f"{place}: {remedy}, not {node.value!r}")
    return rate


def _place(source: str, node: yaml.Node) -> str:
    return f"{source}, line {node.start_mark.line + 1}"
