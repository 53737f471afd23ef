"""The tax rate table: exact percentages, and errors that say where and what to mend."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from libs.billing import InvalidTaxRates, parse_tax_rates
from libs.billing.taxes import Tax
from libs.contracts import PostalAddress

SHIPPED = Path(__file__).parents[2] / "deploy" / "tax-rates.yaml"


def test_the_shipped_table_has_the_rates_of_the_demo_and_of_spain():
    table = parse_tax_rates(SHIPPED.read_text(), "tax-rates.yaml")
    rates = {"standard": Decimal(21), "reduced": Decimal(10), "zero": Decimal(0), "us-communications": Decimal("8.25")}
    for category, rate in rates.items():
        assert table.taxes(category, PostalAddress(country="US", state_or_province="KS"), date(2026, 3, 31)) == (Tax(category, rate),)


def test_a_rate_keeps_the_digits_that_were_written():
    ((tax),) = parse_tax_rates("rates: {a: 8.2500}", "x").taxes("a", PostalAddress(), date(2026, 3, 31)) or ()
    assert str(tax.rate) == "8.2500"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rates: [", "not readable as YAML"),
        ("", "expected a mapping with the key `rates`"),
        ("- 21", "expected a mapping with the key `rates`"),
        ("rates: {}", "at least one category"),
        ("rates:\n", "at least one category"),
        ("taxes: {a: 1}", "unknown key 'taxes'"),
        ("rates:\n  standard: 21\n  standard: 22", "line 3: 'standard' is given twice"),
        ("rates:\n  standard: lots", "line 2: 'standard' needs a percentage from 0 to 100 with at most 4 decimals, such as 21, not 'lots'"),
        ("rates:\n  standard: -1", "not '-1'"),
        ("rates:\n  standard: 100.01", "not '100.01'"),
        ("rates:\n  standard: NaN", "not 'NaN'"),
        ("rates:\n  standard: Infinity", "not 'Infinity'"),
        ("rates:\n  standard: 8.12345", "not '8.12345'"),
        ("rates:\n  standard: [21]", "line 2: 'standard' needs a percentage"),
        ("rates:\n  standard:", "line 2: 'standard' needs a percentage"),
        ("rates:\n  '  ': 21", "line 2: a name must be a text"),
        ("rates:\n  [a]: 21", "line 2: a name must be a text"),
    ],
)
def test_a_faulty_table_is_refused_with_the_place_and_the_remedy(text: str, complaint: str):
    with pytest.raises(InvalidTaxRates) as refusal:
        parse_tax_rates(text, "tax-rates.yaml")
    assert str(refusal.value).startswith("tax-rates.yaml")
    assert complaint in str(refusal.value)
