"""Discounts, caps and commitments of a month: tables of what comes out, and properties of any mixture of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.billing.adjustments import Adjustment, adjust
from libs.billing.commitments import due_share
from libs.billing.discounts import discount_holds, discount_wanted
from libs.billing.remainders import SummedLine
from libs.billing.thresholds import crossings
from libs.contracts import ChargeKind
from libs.contracts.adjustments import (
    Adjustments,
    AdjustmentScope,
    Discount,
    DiscountTier,
    MinimumCommitment,
    SpendingCap,
    Thresholds,
)
from libs.money import minor_unit_decimals, round_to_minor_unit
from libs.periods import calendar_month

MARCH = date(2026, 3, 1)
USAGE, FEES = AdjustmentScope(kinds=("usage",)), AdjustmentScope(kinds=("recurring",))
Tiers = tuple[DiscountTier, ...]
TIERS: Tiers = (
    DiscountTier(up_to=Decimal(50), percent=Decimal(0)),
    DiscountTier(up_to=Decimal(100), percent=Decimal(10)),
    DiscountTier(percent=Decimal(20)),
)


def line(
    amount: str | Decimal,
    category: str | None = None,
    kind: ChargeKind = ChargeKind.USAGE,
    price: str = "calls",
    is_tax_included: bool = False,
) -> SummedLine:
    return SummedLine(price, kind, category, Decimal(amount), MARCH, is_tax_included)


def percent(number: str | int | Decimal, **fields: Any) -> Discount:
    return Discount(**{"id": "percent", "description": "Percent off", "model": "percent", "percent": Decimal(number), **fields})


def fixed(amount: str, **fields: Any) -> Discount:
    return Discount(**{"id": "fixed", "description": "Amount off", "model": "fixed", "amount": Decimal(amount), **fields})


def tiered(model: Any, tiers: Tiers = TIERS) -> Discount:
    return Discount(id=model, description="Tiers", model=model, tiers=tiers)


def cap(amount: str, **fields: Any) -> SpendingCap:
    return SpendingCap(id="cap", description="Cap", amount=Decimal(amount), **fields)


def commitment(amount: str, **fields: Any) -> MinimumCommitment:
    return MinimumCommitment(**{"id": "minimum", "description": "Minimum", "amount": Decimal(amount), **fields})


def amounts(
    *lines: SummedLine, discounts: tuple[Discount, ...] = (), share: Fraction | None = Fraction(1), currency: str = "EUR", **terms: Any
) -> list[str]:
    found = adjust(Adjustments(discounts=discounts, **terms), lines, date(2026, 1, 15), currency, share)
    return [str(each.amount) for each in found]


@pytest.mark.parametrize(
    ("discounts", "lines", "expected"),
    [
        ((percent(10), percent(25)), ["100.00"], ["-10.00", "-22.50"]),
        ((fixed("80"), fixed("50")), ["100.00"], ["-80.00", "-20.00"]),
        ((percent(100), fixed("5")), ["100.00"], ["-100.00"]),
        ((fixed("5"), percent(10)), ["100.00"], ["-5.00", "-9.50"]),
        ((percent(10), fixed("5")), ["100.00"], ["-10.00", "-5.00"]),
        ((percent(10, maximum=Decimal("7.50")),), ["100.00"], ["-7.50"]),
        ((percent("33.333"),), ["0.01"], []),
        ((percent(49),), ["0.01"], []),
        ((percent(50),), ["0.01"], ["-0.01"]),
        ((percent(50), percent(50)), ["6.67"], ["-3.34", "-1.66"]),
        ((percent(50),), ["-20.00"], []),
        ((percent(50),), ["100.00", "-20.00"], ["-40.00"]),
        ((fixed("10"),), ["0.00"], []),
        ((tiered("graduated"),), ["40.00"], []),
        ((tiered("graduated"),), ["100.00"], ["-5.00"]),
        ((tiered("graduated"),), ["130.00"], ["-11.00"]),
        ((tiered("volume"),), ["50.00"], []),
        ((tiered("volume"),), ["100.00"], ["-10.00"]),
        ((tiered("volume"),), ["100.01"], ["-20.00"]),
    ],
)
def test_discounts_take_off_what_their_terms_say_and_never_more_than_there_is(
    discounts: Any, lines: list[str], expected: list[str]
) -> None:
    assert amounts(*map(line, lines), discounts=discounts) == expected


def test_a_discount_is_one_charge_for_each_tax_category_that_it_lowers() -> None:
    found = adjust(
        Adjustments(discounts=(fixed("1.00"),)), [line("1.00"), line("1.00", "reduced"), line("1.00", "zero")], MARCH, "EUR", None
    )
    assert [(each.tax_category, str(each.amount)) for each in found] == [(None, "-0.34"), ("reduced", "-0.33"), ("zero", "-0.33")]


@pytest.mark.parametrize(
    ("terms", "without", "included", "expected"),
    [
        ({"discounts": (percent(10),)}, "30.00", "70.00", [(False, "-3.00"), (True, "-7.00")]),
        ({"discounts": (percent(10),)}, "0.00", "70.00", [(True, "-7.00")]),
        ({"discounts": (percent(10),)}, "30.00", "-10.00", [(False, "-3.00"), (True, "1.00")]),
        ({"discounts": (fixed("1.00"),)}, "1.00", "2.00", [(False, "-0.33"), (True, "-0.67")]),
        ({"discounts": (fixed("0.01"),)}, "1.00", "1.00", [(False, "-0.01")]),
        (
            {"discounts": (percent(10),), "spending_cap": cap("60")},
            "50.00",
            "50.00",
            [(False, "-5.00"), (True, "-5.00"), (False, "-15.00"), (True, "-15.00")],
        ),
    ],
)
def test_a_discount_or_a_cap_includes_tax_where_the_charges_do_that_it_lowers(
    terms: Any, without: str, included: str, expected: list[tuple[bool, str]]
) -> None:
    found = adjust(Adjustments(**terms), [line(included, is_tax_included=True), line(without)], MARCH, "EUR", None)
    assert [(each.is_tax_included, str(each.amount)) for each in found] == expected


@pytest.mark.parametrize("is_tax_included", [False, True])
def test_what_is_missing_to_a_commitment_is_one_charge_that_includes_tax_as_its_book_does(is_tax_included: bool) -> None:
    lines = [line("30.00", is_tax_included=True), line("20.00")]
    terms = Adjustments(commitments=(commitment("70", tax_category="reduced"),))
    (found,) = adjust(terms, lines, MARCH, "EUR", Fraction(1), is_tax_included)
    assert (found.tax_category, found.is_tax_included, str(found.amount)) == ("reduced", is_tax_included, "20.00")


def test_a_scope_names_prices_or_kinds_and_what_re_rating_corrects_is_usage() -> None:
    lines = [line("10.00"), line("20.00", kind=ChargeKind.RECURRING, price="fee"), line("-1.00", kind=ChargeKind.ADJUSTMENT)]
    assert amounts(*lines, discounts=(percent(10, scope=USAGE),)) == ["-0.90"]
    assert amounts(*lines, discounts=(percent(10, scope=FEES),)) == ["-2.00"]
    assert amounts(*lines, discounts=(percent(10, scope=AdjustmentScope(price_ids=("fee",))),)) == ["-2.00"]
    assert amounts(*lines, discounts=(percent(10),)) == ["-2.90"]


def test_the_cap_counts_what_discounts_left_and_the_commitment_what_the_cap_left() -> None:
    terms: dict[str, Any] = {"discounts": (percent(10),), "spending_cap": cap("60"), "commitments": (commitment("70"),)}
    assert amounts(line("100.00"), **terms) == ["-10.00", "-30.00", "10.00"]
    assert amounts(line("50.00"), **terms) == ["-5.00", "25.00"]


def test_a_cap_of_nothing_takes_everything_and_one_that_is_not_reached_nothing() -> None:
    assert amounts(line("9.99"), spending_cap=cap("0")) == ["-9.99"]
    assert amounts(line("9.99"), spending_cap=cap("9.99")) == []


@pytest.mark.parametrize(
    ("spent", "share", "expected"),
    [
        ("1000.00", Fraction(1), ["9000.00"]),
        ("714.29", Fraction(5, 7), ["6428.57"]),
        ("915.07", Fraction(334, 365), ["8235.61"]),
        ("10000.00", Fraction(1), []),
        ("12000.00", Fraction(1), []),
        ("0.00", Fraction(0), []),
        ("-5.00", Fraction(1), ["10005.00"]),
        ("1000.00", None, []),
    ],
)
def test_what_is_missing_to_a_commitment_is_the_difference_of_two_rounded_amounts(
    spent: str, share: Fraction | None, expected: list[str]
) -> None:
    assert amounts(line(spent), commitments=(commitment("10000"),), share=share) == expected


def test_a_commitment_that_is_not_prorated_is_due_whole_but_not_without_a_day() -> None:
    whole = commitment("30", is_prorated=False)
    assert amounts(commitments=(whole,), share=Fraction(1, 31)) == ["30.00"]
    assert amounts(commitments=(whole,), share=Fraction(0)) == []


def test_a_later_commitment_counts_what_an_earlier_one_topped_up() -> None:
    calls = commitment("20", id="calls", scope=USAGE)
    assert amounts(line("5.00"), commitments=(calls, commitment("30"))) == ["15.00", "10.00"]


@pytest.mark.parametrize(("currency", "expected"), [("JPY", ["-33"]), ("KWD", ["-33.333"])])
def test_discounts_are_in_the_minor_unit_of_the_currency(currency: str, expected: list[str]) -> None:
    assert amounts(line("100"), discounts=(percent("33.333"),), currency=currency) == expected


@pytest.mark.parametrize(
    ("started_on", "first_day", "holds"),
    [
        (date(2026, 1, 31), date(2026, 4, 29), True),
        (date(2026, 1, 31), date(2026, 4, 30), False),
        (date(2023, 11, 30), date(2024, 2, 28), True),
        (date(2023, 11, 30), date(2024, 2, 29), False),
        (date(2025, 12, 1), date(2026, 2, 28), True),
        (date(2025, 12, 1), date(2026, 3, 1), False),
        (date(9999, 12, 1), date(9999, 12, 30), True),
    ],
)
def test_the_first_three_months_end_on_the_day_of_the_month_on_which_the_product_began(
    started_on: date, first_day: date, holds: bool
) -> None:
    assert discount_holds(percent(10, first_months=3), started_on, first_day) is holds


def test_a_discount_holds_from_a_day_until_before_another() -> None:
    spring = percent(10, holds_from=date(2026, 3, 1), holds_until=date(2026, 6, 1))
    days = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 5, 31), date(2026, 6, 1)]
    assert [discount_holds(spring, MARCH, day) for day in days] == [False, True, True, False]


@pytest.mark.parametrize(
    ("started", "ended", "expected"),
    [
        ((2023, 1, 1), None, Fraction(1)),
        ((2023, 2, 4), None, Fraction(25, 28)),
        ((2023, 1, 1), (2023, 2, 26), Fraction(25, 28)),
        ((2023, 1, 1), (2023, 2, 25, 12), Fraction(25, 28)),
        ((2023, 3, 1), None, Fraction(0)),
        ((2022, 1, 1), (2023, 2, 1), Fraction(0)),
    ],
)
def test_the_first_and_the_last_day_of_a_product_count_whole(started: Any, ended: Any, expected: Fraction) -> None:
    start, end = (datetime.combine(date(*day[:3]), time(*day[3:]), UTC) if day else None for day in (started, ended))
    assert start is not None
    assert due_share(calendar_month("2023-02", "UTC"), start, end, "UTC") == expected


def test_thresholds_are_crossed_once_on_the_way_up() -> None:
    thresholds = Thresholds(id="t", amount=Decimal(50), percents=(50, 80, 100))
    steps = ["0", "24.99", "25", "45", "44", "60"]
    crossed = [[each.percent for each in crossings(thresholds, Decimal(a), Decimal(b))] for a, b in pairwise(steps)]
    assert crossed == [[], [50], [80], [], [100]]


CURRENCIES = st.sampled_from(["EUR", "JPY", "KWD"])
PERCENTS = st.decimals(min_value=Decimal("0.01"), max_value=100, places=2)
UNITS = st.integers(min_value=-(10**7), max_value=10**9)
CATEGORIES = st.sampled_from([None, "reduced", "zero"])
KINDS = st.sampled_from([ChargeKind.USAGE, ChargeKind.RECURRING, ChargeKind.ADJUSTMENT])
SCOPES = st.sampled_from([AdjustmentScope(), USAGE, FEES])
DISCOUNTS = st.one_of(
    st.builds(
        lambda number, scope, limit: percent(number, scope=scope, maximum=limit),
        PERCENTS,
        SCOPES,
        st.sampled_from([None, Decimal("12.34")]),
    ),
    st.builds(lambda amount, scope: fixed(str(amount), scope=scope), st.decimals(min_value=1, max_value=1000, places=3), SCOPES),
    st.sampled_from([tiered("graduated"), tiered("volume")]),
)


def lines_of(units: list[tuple[int, str | None, ChargeKind]], currency: str) -> list[SummedLine]:
    places = 10 ** minor_unit_decimals(currency)
    return [line(round_to_minor_unit(Fraction(amount, places), currency), category, kind) for amount, category, kind in units]


def total(adjustments: list[Adjustment]) -> Decimal:
    return sum((each.amount for each in adjustments), Decimal(0))


@given(st.lists(PERCENTS, min_size=1, max_size=3), st.lists(st.tuples(UNITS, CATEGORIES, KINDS), min_size=1, max_size=5), CURRENCIES)
def test_percentages_come_to_the_same_in_any_order(numbers: list[Decimal], units: Any, currency: str) -> None:
    lines = lines_of(units, currency)
    totals = {
        total(adjust(Adjustments(discounts=tuple(map(percent, order))), lines, MARCH, currency, None)) for order in permutations(numbers)
    }
    assert len(totals) == 1
    subtotal = sum(each.amount for each in lines)
    if subtotal > 0:
        left = Fraction(subtotal)
        for number in numbers:
            left *= 1 - Fraction(number) / 100
        assert totals == {-round_to_minor_unit(Fraction(subtotal) - left, currency)}


@given(st.lists(DISCOUNTS, max_size=4), st.lists(st.tuples(UNITS, CATEGORIES, KINDS), max_size=6), CURRENCIES)
def test_no_mixture_of_discounts_makes_a_sum_that_was_positive_negative(discounts: list[Discount], units: Any, currency: str) -> None:
    lines = lines_of(units, currency)
    subtotal = sum((each.amount for each in lines), Decimal(0))
    taken = total(adjust(Adjustments(discounts=tuple(discounts)), lines, MARCH, currency, None))
    # A credit for usage may leave the rest below nothing; no discount makes that worse than the credits themselves.
    credits = sum((each.amount for each in lines if each.amount < 0), Decimal(0))
    assert min(credits, Decimal(0)) <= subtotal + taken <= max(subtotal, Decimal(0)) or taken == 0


@given(st.lists(DISCOUNTS, max_size=4), st.lists(st.tuples(st.integers(0, 10**9), CATEGORIES, KINDS), max_size=6), CURRENCIES)
def test_no_tax_category_is_left_below_nothing_when_there_are_no_credits(discounts: list[Discount], units: Any, currency: str) -> None:
    lines = lines_of(units, currency)
    found = adjust(Adjustments(discounts=tuple(discounts)), lines, MARCH, currency, None)
    assert all(each.amount < 0 for each in found)
    for category in {each.tax_category for each in lines}:
        before = sum(each.amount for each in lines if each.tax_category == category)
        taken = sum(each.amount for each in found if each.tax_category == category)
        assert before + taken >= 0


@given(
    st.lists(DISCOUNTS, max_size=3),
    st.none() | st.builds(lambda number, scope: cap(str(number), scope=scope), st.decimals(0, 10**6, places=2), SCOPES),
    st.lists(st.tuples(st.integers(0, 10**9), CATEGORIES, KINDS, st.booleans()), max_size=6),
    CURRENCIES,
)
def test_what_is_taken_off_is_taxed_as_what_it_lowers_and_comes_to_the_same_as_if_all_were_taxed_alike(
    discounts: list[Discount], limit: SpendingCap | None, units: Any, currency: str
) -> None:
    alike = lines_of([each[:3] for each in units], currency)
    lines = [replace(each, is_tax_included=told[3]) for each, told in zip(alike, units, strict=True)]
    numbered = tuple(each.model_copy(update={"id": f"d{number}"}) for number, each in enumerate(discounts))
    terms = Adjustments(discounts=numbered, spending_cap=limit)
    found = adjust(terms, lines, MARCH, currency, None)
    assert all(each.amount < 0 for each in found)
    for is_included in (False, True):
        for category in {each.tax_category for each in found}:
            before = [each.amount for each in lines if (each.tax_category, each.is_tax_included) == (category, is_included)]
            taken = [each.amount for each in found if (each.tax_category, each.is_tax_included) == (category, is_included)]
            assert sum(before) + sum(taken) >= 0
    assert total(found) == total(adjust(terms, alike, MARCH, currency, None))
    assert len({(each.id, each.tax_category, each.is_tax_included) for each in found}) == len(found)


@given(st.decimals(0, 10**6, places=2), st.lists(st.tuples(st.integers(0, 10**8), CATEGORIES, KINDS), max_size=6))
def test_a_cap_is_never_exceeded_and_met_to_the_cent(limit: Decimal, units: Any) -> None:
    lines = lines_of(units, "EUR")
    subtotal = sum((each.amount for each in lines), Decimal(0))
    left = subtotal + total(adjust(Adjustments(spending_cap=cap(str(limit))), lines, MARCH, "EUR", None))
    assert left == min(subtotal, limit)


@given(st.decimals(1, 10**6, places=2), st.fractions(0, 1), st.lists(st.tuples(UNITS, CATEGORIES, KINDS), max_size=6))
def test_a_commitment_tops_up_to_its_rounded_share_and_never_credits(minimum: Decimal, share: Fraction, units: Any) -> None:
    lines = lines_of(units, "EUR")
    subtotal = sum((each.amount for each in lines), Decimal(0))
    added = total(adjust(Adjustments(commitments=(commitment(str(minimum)),)), lines, MARCH, "EUR", share))
    assert subtotal + added == max(subtotal, round_to_minor_unit(Fraction(minimum) * share, "EUR"))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_graduated_tiers_give_no_less_for_more(one: int, other: int) -> None:
    less, more = sorted([Fraction(one), Fraction(other)])
    assert discount_wanted(tiered("graduated"), less, "EUR") <= discount_wanted(tiered("graduated"), more, "EUR")
