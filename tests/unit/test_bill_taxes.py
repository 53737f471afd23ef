"""Tax once per category on the bill, shares that add up to it, for any mixture of charges and credits."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.billing.credit_notes import credit_line
from libs.billing.taxes import Levy, Tax, TaxedAmount, exact_taxes, levy_taxes
from libs.contracts import AppliedTax, BillLine
from libs.money import divide_numerators, minor_unit_decimals, round_to_minor_unit
from tests.closings import RATES
from tests.closings import line as charge_line

STANDARD, ZERO = ((Tax(category, RATES[category]),) for category in ("standard", "zero"))
GST, QST, EXCISE = Tax("gst", Decimal(5)), Tax("qst", Decimal("9.5"), ("gst",)), Tax("federal-excise", Decimal(3))


def levied(*lines: tuple[str, tuple[Tax, ...], bool], currency: str = "EUR") -> Levy:
    return levy_taxes([TaxedAmount(Decimal(amount), taxes, included) for amount, taxes, included in lines], currency)


def shares_of(*amounts: str) -> tuple[str, list[str]]:
    levy = levied(*((amount, STANDARD, False) for amount in amounts))
    return str(levy.items[0].amount), [str(share.amount) for (share,) in levy.shares]


def test_tax_is_computed_on_the_sum_and_not_line_by_line():
    # Line by line each 0.0252 would round to 0.03, together 0.09.
    assert shares_of("0.12", "0.12", "0.12") == ("0.08", ["0.03", "0.03", "0.02"])


def test_an_exact_half_rounds_up():
    assert shares_of("0.50") == ("0.11", ["0.11"])
    assert shares_of("-0.50") == ("-0.11", ["-0.11"])


def test_a_credit_lowers_the_tax_and_carries_its_share():
    assert shares_of("100.00", "-30.00") == ("14.70", ["21.00", "-6.30"])


def test_a_charge_and_its_full_credit_are_taxed_at_nothing_together():
    assert shares_of("33.33", "-33.33") == ("0.00", ["7.00", "-7.00"])


def test_currencies_have_their_own_minor_unit():
    assert told(levied(("105", STANDARD, False), currency="JPY").items) == ["standard 22"]


def test_what_is_not_rounded_is_not_taxed_as_if_it_were():
    with pytest.raises(AssertionError, match="not rounded"):
        shares_of("0.129")


def test_categories_are_taxed_apart():
    assert told(levied(("10.00", STANDARD, False), ("5.00", ZERO, False)).items) == ["standard 2.10", "zero 0.00"]


@given(st.lists(st.integers(min_value=-(10**6), max_value=10**6), min_size=1, max_size=30), st.integers(min_value=1, max_value=10_000))
def test_any_rounded_sum_divides_into_rounded_parts(numerators: list[int], denominator: int):
    for total in {sum(numerators) // denominator, -(-sum(numerators) // denominator)}:
        parts = divide_numerators(total, numerators, denominator)
        assert sum(parts) == total
        assert all(abs(part - Fraction(numerator, denominator)) < 1 for part, numerator in zip(parts, numerators, strict=True))


def told(applied: Iterable[AppliedTax]) -> list[str]:
    return [f"{tax.category} {tax.amount}" for tax in applied]


def test_a_line_bears_several_taxes_and_a_tax_on_tax():
    levy = levied(("100.00", (GST, QST), False), ("50.00", (EXCISE,), False))
    assert told(levy.items) == ["federal-excise 1.50", "gst 5.00", "qst 9.98"]
    assert [told(shares) for shares in levy.shares] == [["gst 5.00", "qst 9.98"], ["federal-excise 1.50"]]
    assert levy.items[2].on == ("gst",)


def test_each_tax_is_rounded_once_on_the_whole_bill():
    levy = levied(*[("0.30", (GST, EXCISE), False)] * 3)
    assert told(levy.items) == ["federal-excise 0.03", "gst 0.05"]
    assert [told(shares)[0] for shares in levy.shares] == ["gst 0.02", "gst 0.02", "gst 0.01"]


def test_taxes_are_taken_out_of_a_price_that_includes_them():
    vat = (Tax("vat", Decimal(21)),)
    levy = levied(("121.00", vat, True), ("9.99", vat, True), ("10.00", vat, False))
    assert told(levy.items) == ["vat 24.83"]
    assert [str(amount) for amount in levy.net_amounts] == ["100.00", "8.26", "10.00"]
    assert [str(shares[0].amount) for shares in levy.shares] == ["21.00", "1.73", "2.10"]


def test_tax_on_tax_is_taken_out_of_a_price_that_includes_both():
    levy = levied(("114.98", (GST, QST), True))
    assert (told(levy.shares[0]), levy.net_amounts) == (["gst 5.00", "qst 9.98"], (Decimal("100.00"),))


def test_the_same_tax_at_two_rates_is_two_items():
    levy = levied(("10.00", (Tax("vat", Decimal(20)),), False), ("10.00", (Tax("vat", Decimal(21)),), False))
    assert [(item.rate, str(item.amount)) for item in levy.items] == [(Decimal(20), "2.00"), (Decimal(21), "2.10")]


RATE_DIGITS = st.decimals(0, 100, places=4)
TAX_LISTS = st.lists(
    st.tuples(st.sampled_from("abc"), RATE_DIGITS, st.booleans()), min_size=1, max_size=3, unique_by=lambda tax: tax[0]
).map(
    lambda taxes: tuple(
        Tax(name, rate, tuple(earlier for earlier, _, _ in taxes[:position]) if compound else ())
        for position, (name, rate, compound) in enumerate(taxes)
    )
)
CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
# Most lines of a bill bear one of a few lists of taxes.
LINES = st.lists(TAX_LISTS, min_size=1, max_size=3).flatmap(
    lambda taxes: st.lists(st.tuples(st.integers(-(10**12), 10**12), st.sampled_from(taxes), st.booleans()), max_size=10)
)


def unit_of(currency: str) -> Decimal:
    return Decimal(1).scaleb(-minor_unit_decimals(currency))


@given(LINES, CURRENCIES)
def test_shares_of_any_taxes_add_up_and_prices_that_include_them_stay_what_they_were(lines, currency: str):
    unit = unit_of(currency)
    taxed = [TaxedAmount(units * unit, taxes, included) for units, taxes, included in lines]
    levy = levy_taxes(taxed, currency)
    shares = [
        (share, exact)
        for line, of_line in zip(taxed, levy.shares, strict=True)
        for share, exact in zip(of_line, exact_taxes(line), strict=True)
    ]
    for item in levy.items:
        mine = [each for each in shares if (each[0].category, each[0].rate, each[0].on) == (item.category, item.rate, item.on)]
        assert item.amount == sum(share.amount for share, _ in mine)
        assert item.amount == round_to_minor_unit(sum(exact for _, exact in mine), currency)
    for line, of_line, net in zip(taxed, levy.shares, levy.net_amounts, strict=True):
        assert [share.category for share in of_line] == [tax.category for tax in line.taxes]
        for share, exact in zip(of_line, exact_taxes(line), strict=True):
            assert abs(Fraction(share.amount) - exact) < unit
        assert net + (sum(share.amount for share in of_line) if line.is_tax_included else 0) == line.amount


@given(st.integers(0, 10**9), TAX_LISTS, CURRENCIES)
def test_a_price_with_and_one_without_tax_agree_within_the_rounding_of_each_tax(units: int, taxes: tuple[Tax, ...], currency: str):
    unit = unit_of(currency)
    without = levy_taxes([TaxedAmount(units * unit, taxes, False)], currency)
    price = units * unit + sum(item.amount for item in without.items)
    included = levy_taxes([TaxedAmount(price, taxes, True)], currency)
    assert abs(included.net_amounts[0] - units * unit) <= len(taxes) * unit
    assert included.net_amounts[0] + sum(item.amount for item in included.items) == price


@given(LINES, CURRENCIES, st.lists(st.fractions(0, 1), max_size=4))
def test_a_line_that_is_credited_in_parts_comes_to_what_was_billed(lines, currency: str, cuts: list[Fraction]):
    unit = unit_of(currency)
    taxed = [TaxedAmount(units * unit, taxes, included) for units, taxes, included in lines]
    levy = levy_taxes(taxed, currency)
    steps = [Fraction(0), *sorted(cuts), Fraction(1)]
    for line, shares, net in zip(taxed, levy.shares, levy.net_amounts, strict=True):
        billed = BillLine(**{**dict(charge_line("c", net)), "is_tax_included": line.is_tax_included, "taxes": shares})
        credits = [credit_line(billed, after - before, currency, before) for before, after in pairwise(steps)]
        assert sum(credit.amount for credit in credits) == net
        assert sum(credit.total for credit in credits) == net + sum(share.amount for share in shares)
