"""The tax rate table: exact percentages, and errors that say where and what to mend."""

import re
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
        ('rates:\n  standard: "1_0"', "not '1_0'"),
        ('rates:\n  standard: "٢١"', "not '٢١'"),
        ("rates:\n  standard: 100.01", "not '100.01'"),
        ("rates:\n  standard: NaN", "not 'NaN'"),
        ("rates:\n  standard: Infinity", "not 'Infinity'"),
        ("rates:\n  standard: 8.12345", "not '8.12345'"),
        ("rates:\n  standard: [21]", "line 2: 'standard' needs a percentage"),
        ("rates:\n  standard:", "line 2: 'standard' needs a percentage"),
        ("rates:\n  '  ': 21", "line 2: a name must be a text"),
        ("rates:\n  [a]: 21", "line 2: a name must be a text"),
        (f"rates:\n  {'a' * 65}: 21", "line 2: a name must be a text of 1 to 64 characters"),
        ("rates: {a: 1}\njurisdictions: [ES]", "line 2: `jurisdictions` lists countries"),
        ("rates: {a: 1}\njurisdictions:\n  ES: 21", "line 3: 'ES' must list at least one category"),
        ("rates: {a: 1}\njurisdictions:\n  ES: {}", "line 3: 'ES' must list at least one category"),
        (
            "rates: {a: 1}\njurisdictions:\n  US/KS/Topeka: {a: 1}",
            "line 3: 'US/KS/Topeka' is no jurisdiction; write a country or country/state",
        ),
        ("rates: {a: 1}\njurisdictions:\n  US/: {a: 1}", "'US/' is no jurisdiction"),
        ("rates: {a: 1}\njurisdictions:\n  ES: {a: 1}\n  es: {a: 1}", "line 4: 'es' is given twice, with other capitals"),
        ("rates: {a: 1}\njurisdictions:\n  ES: {a: lots}", "line 3: 'a' needs a percentage"),
        ("rates:\n  a:\n    - {tax: x}", "line 3: a tax of 'a' has no rate; add `rate:`"),
        ("rates:\n  a:\n    - {tax: x, rat: 1}", "line 3: unknown key 'rat' of a tax; use tax, rate, on, from, until"),
        ("rates:\n  a:\n    - {tax: [x], rate: 1}", "line 3: a name must be a text"),
        ("rates:\n  a:\n    - {tax: x, rate: 101}", "line 3: 'x' needs a percentage from 0 to 100"),
        ("rates:\n  a:\n    - {rate: 1, from: soon}", "line 3: 'soon' is not a day of the calendar; write it as in 2026-03-01"),
        ("rates:\n  a:\n    - {rate: 1, from: 2026-02-30}", "'2026-02-30' is not a day of the calendar"),
        ("rates:\n  a:\n    - {rate: 1, from: 2026-03-01, until: 2026-03-01}", "'a' ends on 2026-03-01, before it begins on 2026-03-01"),
        (
            "rates:\n  a:\n    - {rate: 1, until: 2026-03-02}\n    - {rate: 2, from: 2026-03-01}",
            "line 4: 'a' of 'a' has two rates on the same day",
        ),
        ("rates:\n  a:\n    - {rate: 1}\n    - {rate: 2}", "line 4: 'a' of 'a' has two rates on the same day"),
        ("rates:\n  a:\n    - {tax: x, rate: 1, on: y}", "line 3: 'x' is levied on 'y', which is no tax above it; list that one first"),
        ("rates:\n  a:\n    - {tax: x, rate: 1, on: x}", "'x' is levied on 'x', which is no tax above it"),
        ("rates:\n  a:\n" + "".join(f"    - {{tax: t{n}, rate: 1}}\n" for n in range(11)), "line 3: 'a' has 11 taxes; use at most 10"),
    ],
)
def test_a_faulty_table_is_refused_with_the_place_and_the_remedy(text: str, complaint: str):
    with pytest.raises(InvalidTaxRates) as refusal:
        parse_tax_rates(text, "tax-rates.yaml")
    assert str(refusal.value).startswith("tax-rates.yaml")
    assert complaint in str(refusal.value)


PLACES = """
rates:
  standard: 21
  reduced:
    - {rate: 10, until: 2026-07-01}
    - {rate: 11, from: 2026-07-01}
jurisdictions:
  CA:
    standard: [{tax: gst, rate: 5}]
  CA/Quebec:
    standard:
      - {tax: gst, rate: 5}
      - {tax: qst, rate: 9.5, on: gst, until: 2027-01-01}
      - {tax: qst, rate: 9.975, from: 2027-01-01}
  ES/Canarias:
    standard: [{tax: igic, rate: 7, from: 2020-01-01}]
"""
GST, QST = Tax("gst", Decimal(5)), Tax("qst", Decimal("9.5"), ("gst",))


@pytest.mark.parametrize(
    ("category", "country", "state", "day", "taxes"),
    [
        ("standard", "", "", date(2026, 3, 1), (Tax("standard", Decimal(21)),)),
        ("standard", "France", "Ile", date(2026, 3, 1), (Tax("standard", Decimal(21)),)),
        ("standard", "CA", "", date(2026, 3, 1), (GST,)),
        ("standard", "ca", "Ontario", date(2026, 3, 1), (GST,)),
        ("standard", " CA ", "quebec", date(2026, 12, 31), (GST, QST)),
        ("standard", "CA", "Quebec", date(2027, 1, 1), (GST, Tax("qst", Decimal("9.975")))),
        ("standard", "ES", "Canarias", date(2026, 3, 1), (Tax("igic", Decimal(7)),)),
        ("standard", "ES", "Canarias", date(2019, 12, 31), None),
        ("reduced", "ES", "Canarias", date(2026, 6, 30), (Tax("reduced", Decimal(10)),)),
        ("reduced", "CA", "Quebec", date(2026, 7, 1), (Tax("reduced", Decimal(11)),)),
        ("luxury", "CA", "Quebec", date(2026, 7, 1), None),
    ],
)
def test_the_narrowest_place_that_knows_a_category_says_its_taxes_on_a_day(
    category: str, country: str, state: str, day: date, taxes: tuple[Tax, ...] | None
):
    table = parse_tax_rates(PLACES, "tax-rates.yaml")
    assert table.taxes(category, PostalAddress(country=country, state_or_province=state), day) == taxes


def test_a_tax_on_a_tax_of_other_days_stands_on_the_price_alone():
    table = parse_tax_rates("rates:\n  a:\n    - {tax: x, rate: 1, until: 2026-01-01}\n    - {tax: y, rate: 2, on: x}", "x")
    assert table.taxes("a", PostalAddress(), date(2026, 1, 1)) == (Tax("y", Decimal(2)),)
    assert table.taxes("a", PostalAddress(), date(2025, 12, 31)) == (Tax("x", Decimal(1)), Tax("y", Decimal(2), ("x",)))


def test_a_name_of_64_characters_is_short_enough():
    assert parse_tax_rates(f"rates:\n  {'a' * 64}: 21", "x").taxes("a" * 64, PostalAddress(), date(2026, 3, 1)) is not None


def test_the_examples_of_the_readme_and_of_the_shipped_file_load():
    readme = Path(__file__).parents[2] / "services/invoicing/README.md"
    (example,) = re.findall(r"^```yaml\n(rates.*?)^```$", readme.read_text(), re.MULTILINE | re.DOTALL)
    commented = re.sub(r"^# (?=jurisdictions|  )", "", SHIPPED.read_text(), flags=re.MULTILINE)
    for text in (example, commented):
        assert parse_tax_rates(text, "example").taxes("standard", PostalAddress(country="CA", state_or_province="Quebec"), date(2026, 3, 1))
    assert "jurisdictions:\n  ES/Canarias" in commented
