"""What people write instead of numbers, currencies, units, dates and lengths gets a remedy that says what to write instead."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.pricing import RateBookInvalid, parse_rate_book
from libs.pricing.exact_number import parse_number
from libs.pricing.faults import Unreadable
from libs.tariffs.quantities import percent

BOOK = """id: b
effective_from: @EFFECTIVE@
currency: @CURRENCY@
holidays: {spain: [@HOLIDAY@]}
offerings:
  a:
    usage_prices:
      - {id: d, description: D, match: {usage_type: data}, price: {amount: @AMOUNT@, per: @PER@}}
    allowances:
      - {id: g, description: G, amount: @GRANT@, validity: @VALIDITY@, recurrence: @RECURRENCE@}
    discounts:
      - {id: x, description: X, percent: @PERCENT@, for_first: @MONTHS@, until: @UNTIL@}
"""
SOUND = {
    "EFFECTIVE": "2026-01-01",
    "CURRENCY": "EUR",
    "HOLIDAY": "2026-01-06",
    "AMOUNT": "0.10",
    "PER": "1 MB",
    "GRANT": "1 GB",
    "VALIDITY": "30 days",
    "RECURRENCE": "month",
    "PERCENT": "10",
    "MONTHS": "3 months",
    "UNTIL": "2026-12-31",
}


def remedy(name: str, text: str) -> str:
    book = BOOK
    for key, sound in SOUND.items():
        book = book.replace(f"@{key}@", text if key == name else sound)
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book(book, "b.yaml")
    return error.value.faults[0].remedy


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("AMOUNT", '"0,10"', "write 0.10, with a decimal point"),
        ("AMOUNT", "0,10", "write a decimal point: a comma ends the value here"),
        ("AMOUNT", '"1,234.56"', "write 1234.56, without separators of thousands"),
        ("AMOUNT", '"1.234,56"', "write 1234.56, without separators of thousands"),
        ("AMOUNT", '"1,000"', "write 1000 without a separator of thousands, or 1.000 with a decimal point"),
        ("AMOUNT", "1_000", "write 1000, without separators of thousands"),
        ("AMOUNT", "1 000 000", "write 1000000, without separators of thousands"),
        ("AMOUNT", "'1''000'", "write 1000, without separators of thousands"),
        ("AMOUNT", ".5", "write 0.5"),
        ("AMOUNT", "5.", "write 5"),
        ("AMOUNT", "€0.10", "write 0.10: amounts are in the currency of the book, which stands in `currency:` alone"),
        (
            "AMOUNT",
            '"0,10 EUR"',
            "write 0.10, with a decimal point: amounts are in the currency of the book, which stands in `currency:` alone",
        ),
        ("AMOUNT", "no", "write a number; where something is free, 0"),
        ("AMOUNT", "unlimited", "leave the key out where there is no limit, or write an amount that nobody reaches, as in 1000000"),
        ("PERCENT", "10 %", "write 10, without the percent sign"),
        ("PERCENT", '"12,5%"', "write 12.5, without the percent sign"),
        ("CURRENCY", "eur", "write EUR"),
        ("CURRENCY", "€", "write EUR"),
        ("CURRENCY", '"$"', "write USD"),
        ("PER", "1 gb", "write GB"),
        ("PER", "1 Min", "write min"),
        ("PER", "1 minutes", "write min"),
        ("PER", "1 sms", "write message"),
        ("PER", "1MB", "write 1 MB"),
        ("PER", '"1,5 GB"', "write 1.5, with a decimal point"),
        ("GRANT", "unlimited", "leave the key out where there is no limit, or write an amount that nobody reaches, as in 1000000"),
        ("GRANT", "12 gigabytes", "write GB"),
        ("VALIDITY", "36500 days", "it is too long: write at most 9999 days, or leave the key out where there is no end"),
        ("VALIDITY", "2 weeks", "write 14 days"),
        ("VALIDITY", "30d", "write 30 days"),
        ("VALIDITY", "P1Y", "write 365 days"),
        ("VALIDITY", "unlimited", "leave the key out, or write up to 9999 days"),
        ("MONTHS", "1 year", "write 12 months"),
        ("MONTHS", "90 days", "write 3 months"),
        ("RECURRENCE", "Month", "did you mean 'month'?"),
        ("EFFECTIVE", "31/12/2026", "write 2026-12-31"),
        ("EFFECTIVE", "03/04/2026", "write year, month and day: 2026-03-04 or 2026-04-03"),
        ("EFFECTIVE", "20260301", "write 2026-03-01"),
        ("EFFECTIVE", "2026/3/1", "write 2026-03-01"),
        ("HOLIDAY", "25.12.2026", "write 2026-12-25"),
        ("UNTIL", "12-31-2026", "write 2026-12-31"),
    ],
)
def test_what_people_write_is_told_how_to_write_it(name: str, text: str, told: str) -> None:
    assert remedy(name, text) == told


def test_a_tab_is_told_for_what_it_is() -> None:
    with pytest.raises(RateBookInvalid) as error:
        parse_rate_book("id: b\nofferings:\n\ta: 1\n", "b.yaml")
    assert error.value.faults[0].remedy == "indent with blanks: YAML takes no tabs"


@example("0..€")
@given(st.text(st.sampled_from("0123456789.,' _%€EURx-+"), min_size=1, max_size=12))
def test_whatever_a_remedy_says_to_write_can_be_read(text: str) -> None:
    try:
        parse_number(text)
    except Unreadable as error:
        words = error.remedy.split()
        if words[0] == "write" and words[1][0].isdigit():
            parse_number(words[1].rstrip(",:"))


@given(st.fractions(0, 10**6), st.fractions(0, 10**6))
def test_a_percentage_of_a_hundred_less_is_of_nothing_left(before: Fraction, after: Fraction) -> None:
    told = percent(before, after)
    assert (told == "-100 %") == (after == 0 and before != 0)


def test_a_price_that_was_per_kilobyte_and_is_per_gigabyte_is_not_all_cheaper() -> None:
    assert percent(Fraction(3, 1000), Fraction(3, 10**9)) == "-99.9999 %"
