"""Exact money: one rounding point, splits that add up, and sums that lose nothing."""

from decimal import ROUND_HALF_UP, Context, Decimal, Inexact, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.money import (
    RoundingMode,
    UnknownCurrency,
    from_minor_units,
    minor_unit_decimals,
    round_to_decimals,
    round_to_minor_unit,
    sum_exactly,
    sum_fractions,
    to_minor_units,
)

CURRENCIES = {"JPY": 0, "EUR": 2, "USD": 2, "KWD": 3, "CLF": 4}

currencies = st.sampled_from(sorted(CURRENCIES))
fractions = st.builds(Fraction, st.integers(-(10**18), 10**18), st.integers(1, 10**7))
decimals = st.decimals(min_value=-(10**15), max_value=10**15, allow_nan=False, allow_infinity=False, places=12)


def minor_unit(currency: str) -> Fraction:
    return Fraction(1, 10 ** CURRENCIES[currency])


@st.composite
def amounts(draw: st.DrawFn) -> tuple[Decimal, str]:
    """A whole number of minor units, with its currency."""
    currency = draw(currencies)
    return Decimal(draw(st.integers(-(10**14), 10**14))).scaleb(-CURRENCIES[currency]), currency


@given(amounts())
def test_a_rounded_amount_is_a_whole_number_of_minor_units_and_nothing_else_is(amount_in: tuple[Decimal, str]) -> None:
    amount, currency = amount_in
    units = to_minor_units(amount, currency)
    assert units == Fraction(amount) / minor_unit(currency)
    assert str(from_minor_units(units, currency)) == str(round_to_minor_unit(amount, currency))
    with pytest.raises(AssertionError, match="is not rounded"):
        to_minor_units(amount + Decimal("0.00001"), currency)


@pytest.mark.parametrize(("currency", "count"), CURRENCIES.items())
def test_a_currency_has_the_decimals_of_iso_4217(currency: str, count: int) -> None:
    assert minor_unit_decimals(currency) == count


@pytest.mark.parametrize("code", ["EURO", "eur", "", "XX", "XAU", "XXX"])
def test_what_is_no_currency_to_bill_in_is_refused(code: str) -> None:
    with pytest.raises(UnknownCurrency):
        minor_unit_decimals(code)


@pytest.mark.parametrize(
    ("exact", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.015", "EUR", "0.02"),
        ("0.025", "EUR", "0.03"),
        ("-0.005", "EUR", "-0.01"),
        ("0.0049999999999999999999", "EUR", "0.00"),
        ("-0.0049999999999999999999", "EUR", "0.00"),
        ("1.5", "JPY", "2"),
        ("2.5", "JPY", "3"),
        ("0.0005", "KWD", "0.001"),
        ("12", "EUR", "12.00"),
        ("99999999999999999999999999999999.995", "EUR", "100000000000000000000000000000000.00"),
    ],
)
def test_a_tie_is_rounded_away_from_zero(exact: str, currency: str, rounded: str) -> None:
    assert str(round_to_minor_unit(Decimal(exact), currency)) == rounded


MODES = "half_up half_even half_down up down"


@pytest.mark.parametrize(
    ("exact", "decimals", "rounded"),
    [
        ("0.1249", 2, "0.12 0.12 0.12 0.13 0.12"),
        ("0.125", 2, "0.13 0.12 0.12 0.13 0.12"),
        ("0.135", 2, "0.14 0.14 0.13 0.14 0.13"),
        ("0.1251", 2, "0.13 0.13 0.13 0.13 0.12"),
        ("-0.125", 2, "-0.13 -0.12 -0.12 -0.13 -0.12"),
        ("-0.135", 2, "-0.14 -0.14 -0.13 -0.14 -0.13"),
        ("0.12", 2, "0.12 0.12 0.12 0.12 0.12"),
        ("2.5", 0, "3 2 2 3 2"),
        ("0.71666", 4, "0.7167 0.7167 0.7167 0.7167 0.7166"),
    ],
)
def test_a_book_may_name_another_rounding(exact: str, decimals: int, rounded: str) -> None:
    assert [str(round_to_decimals(Decimal(exact), decimals, RoundingMode(mode))) for mode in MODES.split()] == rounded.split()


def test_a_price_per_minute_that_no_decimal_holds_per_second_is_rounded_once() -> None:
    # 110 calls that last 2,650 minutes 30 seconds in all, at 0.17 a minute: an exact half cent.
    seconds = [1446] * 109 + [159030 - 1446 * 109]
    exact = sum(Fraction(17 * each, 6000) for each in seconds)
    assert exact == Fraction("450.585")
    assert round_to_minor_unit(exact, "EUR") == Decimal("450.59")


@given(fractions, currencies)
def test_a_rounded_amount_lies_within_half_a_minor_unit(exact: Fraction, currency: str) -> None:
    assert abs(Fraction(round_to_minor_unit(exact, currency)) - exact) <= minor_unit(currency) / 2


@given(fractions, currencies)
def test_a_rounded_amount_shows_exactly_the_decimals_of_its_currency(exact: Fraction, currency: str) -> None:
    assert round_to_minor_unit(exact, currency).as_tuple().exponent == -CURRENCIES[currency]


@given(fractions, currencies)
def test_a_credit_is_rounded_as_the_charge_that_it_reverses(exact: Fraction, currency: str) -> None:
    assert round_to_minor_unit(-exact, currency) == -round_to_minor_unit(exact, currency)


@given(fractions, fractions, currencies)
def test_a_larger_amount_is_never_rounded_below_a_smaller_one(one: Fraction, other: Fraction, currency: str) -> None:
    smaller, larger = sorted((one, other))
    assert round_to_minor_unit(smaller, currency) <= round_to_minor_unit(larger, currency)


@given(decimals, currencies)
def test_rounding_agrees_with_the_decimal_module(exact: Decimal, currency: str) -> None:
    quantum = Decimal(1).scaleb(-CURRENCIES[currency])
    assert round_to_minor_unit(exact, currency) == exact.quantize(quantum, ROUND_HALF_UP, Context(prec=60))


@given(amounts())
def test_an_amount_in_minor_units_is_rounded_to_itself(amount: tuple[Decimal, str]) -> None:
    assert round_to_minor_unit(*amount) == amount[0]


@given(fractions, currencies)
def test_the_ambient_decimal_context_changes_nothing(exact: Fraction, currency: str) -> None:
    expected = round_to_minor_unit(exact, currency)
    with localcontext(Context(prec=3)):
        assert str(round_to_minor_unit(exact, currency)) == str(expected)


@given(st.lists(st.tuples(st.sampled_from([1, 60, 6000, 7, 1024]), st.integers(-(10**20), 10**20)), max_size=30))
def test_sums_kept_per_denominator_lose_nothing(added: list[tuple[int, int]]) -> None:
    sums: dict[str, Decimal] = {}
    for denominator, numerator in added:
        sums[str(denominator)] = sums.get(str(denominator), Decimal(0)) + numerator
    assert sum_fractions(sums) == sum((Fraction(numerator, denominator) for denominator, numerator in added), Fraction(0))


@given(st.lists(decimals, max_size=8))
def test_a_sum_of_decimals_is_exact_whatever_the_ambient_context(amounts: list[Decimal]):
    with localcontext(Context(prec=3)):
        total = sum_exactly(amounts)
    assert Fraction(total) == sum(map(Fraction, amounts))


def test_a_sum_keeps_more_digits_than_the_ambient_context_has():
    assert sum_exactly([Decimal("1E+30"), Decimal("1E-30")]) == Decimal("1000000000000000000000000000000.000000000000000000000000000001")


def test_a_sum_that_cannot_be_exact_is_refused():
    with pytest.raises(Inexact):
        sum_exactly([Decimal("1E+60"), Decimal("1E-60")])
