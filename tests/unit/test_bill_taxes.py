"""Tax once per category on the bill, shares that add up to it, for any mixture of charges and credits."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from libs.billing.taxes import Taxable, compute_taxes, divide_rounded
from libs.money import round_to_minor_unit
from tests.closings import RATES

CENT = Decimal("0.01")
cents = st.integers(min_value=-(10**12), max_value=10**12).map(lambda value: Decimal(value) * CENT)
taxables = st.lists(st.builds(Taxable, st.sampled_from(sorted(RATES)), cents), max_size=40)


def shares_of(amounts: list[str], category: str = "standard") -> tuple[Decimal, list[Decimal]]:
    taxes = compute_taxes([Taxable(category, Decimal(amount)) for amount in amounts], RATES, "EUR")
    return taxes.items[0].amount, [share.amount for share in taxes.shares]


def test_tax_is_computed_on_the_sum_and_not_line_by_line():
    # Line by line each 0.0252 would round to 0.03, together 0.09.
    assert shares_of(["0.12", "0.12", "0.12"]) == (Decimal("0.08"), [Decimal("0.03"), Decimal("0.03"), Decimal("0.02")])


def test_an_exact_half_rounds_up():
    assert shares_of(["0.50"]) == (Decimal("0.11"), [Decimal("0.11")])
    assert shares_of(["-0.50"]) == (Decimal("-0.11"), [Decimal("-0.11")])


def test_a_credit_lowers_the_tax_and_carries_its_share():
    assert shares_of(["100.00", "-30.00"]) == (Decimal("14.70"), [Decimal("21.00"), Decimal("-6.30")])


def test_a_charge_and_its_full_credit_are_taxed_at_nothing_together():
    assert shares_of(["33.33", "-33.33"]) == (Decimal("0.00"), [Decimal("7.00"), Decimal("-7.00")])


def test_currencies_have_their_own_minor_unit():
    taxes = compute_taxes([Taxable("standard", Decimal(105))], RATES, "JPY")
    assert str(taxes.items[0].amount) == "22"


def test_categories_are_taxed_apart():
    taxes = compute_taxes([Taxable("standard", Decimal("10.00")), Taxable("zero", Decimal("5.00"))], RATES, "EUR")
    assert [(item.category, item.rate, item.amount) for item in taxes.items] == [
        ("standard", Decimal(21), Decimal("2.10")),
        ("zero", Decimal(0), Decimal("0.00")),
    ]


@given(taxables)
def test_shares_add_up_to_each_category_and_are_less_than_a_cent_off_the_exact_tax(lines: list[Taxable]):
    taxes = compute_taxes(lines, RATES, "EUR")
    assert len(taxes.shares) == len(lines)
    assert [share.category for share in taxes.shares] == [line.category for line in lines]
    for item in taxes.items:
        mine = [share.amount for share in taxes.shares if share.category == item.category]
        base = sum(Fraction(line.amount) for line in lines if line.category == item.category)
        assert sum(mine) == item.amount == round_to_minor_unit(base * Fraction(item.rate) / 100, "EUR")
    for line, share in zip(lines, taxes.shares, strict=True):
        assert abs(Fraction(share.amount) - Fraction(line.amount) * Fraction(share.rate) / 100) < Fraction(1, 100)


@given(st.lists(st.integers(min_value=-(10**6), max_value=10**6), min_size=1, max_size=30), st.integers(min_value=1, max_value=10_000))
def test_any_rounded_sum_divides_into_rounded_parts(numerators: list[int], denominator: int):
    for total in {sum(numerators) // denominator, -(-sum(numerators) // denominator)}:
        parts = divide_rounded(total, numerators, denominator)
        assert sum(parts) == total
        assert all(abs(part - Fraction(numerator, denominator)) < 1 for part, numerator in zip(parts, numerators, strict=True))
