"""Amounts that are rounded with the others of their cut: the lines add up to the rounded sum, and none is a whole unit off."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.charges import check_amount, check_amounts_together
from libs.audit.domain.difference import Category
from libs.contracts import Charge, ChargeState, LineRounding
from libs.money import RoundingMode, divide_rounded, round_to_decimals
from libs.periods import calendar_month
from libs.pricing import PricedUsage, RateBooks, parse_rate_book
from libs.pricing.charge_amount import exact_amount, line_amount, line_amounts
from libs.tariffs.trial import Trial
from services.rating.domain.charge_ids import terms_of
from services.rating.domain.cuts import AccountToCut, Closing, decide_cut
from services.rating.domain.holdings import Account, Product
from tests.closings import usage_charge
from tests.rating_world import ZONE, cut
from tests.unit.test_rate_book_reference import columns, examples
from tests.usages import usage_of

NOW = datetime(2026, 4, 1, tzinfo=UTC)
BILL = LineRounding(point="bill")
ACCOUNT = Account("ada", "EUR", ZONE)
MARCH = calendar_month("2026-03", ZONE)
PRODUCT = Product("line-1", "ada", "basic", "Line", "active", MARCH.start)
BOOK = """
id: book
effective_from: 2026-01-01
currency: EUR
rounding: {point: bill}
offerings:
  basic:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}}
    recurring_prices:
      - {id: fee, description: Fee, amount: 9.999, period: month}
    one_time_prices:
      - {id: setup, description: Set-up, amount: 1.005, charged_at: activation}
"""


def charge(number: int, exact: Fraction, rounding: LineRounding | None = BILL, currency: str = "EUR") -> Charge:
    used = {"usage_count": 1, "quantity": Decimal(1), "period": MARCH}
    return usage_charge(f"{number:03}", exact, currency=currency, line_rounding=rounding, **used)


def charges(exact: str, rounding: LineRounding | None = BILL, currency: str = "EUR") -> list[Charge]:
    return [charge(number, Fraction(each), rounding, currency) for number, each in enumerate(exact.split())]


def closed(charges: Sequence[Charge], cut_id: str = "cut") -> list[Charge]:
    amounts = zip(charges, line_amounts(charges), strict=True)
    return [each.model_copy(update={"state": ChargeState.CLOSED, "amount": amount, "cut_id": cut_id}) for each, amount in amounts]


def returned(charge: Charge) -> Charge:
    return charge.model_copy(update={"state": ChargeState.RETURNED})


@pytest.mark.parametrize(
    ("exact", "rounding", "currency", "expected"),
    [
        ("", BILL, "EUR", ""),
        ("0.005", BILL, "EUR", "0.01"),
        ("0.005 0.005 0.005", BILL, "EUR", "0.01 0.01 0.00"),
        ("1/3 1/3 1/3", BILL, "EUR", "0.34 0.33 0.33"),
        ("0.004 0.004 0.006", BILL, "EUR", "0.00 0.00 0.01"),
        ("10.004 -3.333 0", BILL, "EUR", "10.00 -3.33 0.00"),
        ("-0.004 -0.004", BILL, "EUR", "0.00 -0.01"),
        ("1/3 1/3 1/3", BILL, "JPY", "1 0 0"),
        ("0.0004 0.0004", BILL, "KWD", "0.001 0.000"),
        ("0.004 0.004", LineRounding(point="bill", mode=RoundingMode.DOWN), "EUR", "0.00 0.00"),
        ("0.004 0.004", LineRounding(point="bill", mode=RoundingMode.UP), "EUR", "0.01 0.00"),
        ("-0.004 -0.004", LineRounding(point="bill", mode=RoundingMode.UP), "EUR", "0.00 -0.01"),
        ("0.0125 0.0125", LineRounding(point="bill", mode=RoundingMode.HALF_EVEN), "EUR", "0.01 0.01"),
        ("0.0125 0.0125", LineRounding(point="bill", mode=RoundingMode.HALF_UP), "EUR", "0.02 0.01"),
        ("0.4 0.4 0.4", LineRounding(point="bill", decimals=0), "EUR", "1.00 0.00 0.00"),
        ("0.44 0.44", LineRounding(point="bill", decimals=1), "EUR", "0.50 0.40"),
    ],
)
def test_lines_add_up_to_the_rounded_sum(exact: str, rounding: LineRounding, currency: str, expected: str) -> None:
    amounts = line_amounts(charges(exact, rounding, currency))
    assert [str(amount) for amount in amounts] == expected.split()


def test_books_that_round_otherwise_have_sums_of_their_own() -> None:
    up = LineRounding(point="bill", mode=RoundingMode.UP)
    minor_unit = LineRounding(point="bill", decimals=2)
    roundings = [BILL, up, minor_unit, None, LineRounding(mode=RoundingMode.DOWN)]
    amounts = line_amounts([charge(number, Fraction("0.006"), rounding) for number, rounding in enumerate(roundings)])
    assert [str(amount) for amount in amounts] == ["0.01", "0.01", "0.00", "0.01", "0.00"]


exact_amounts = st.builds(Fraction, st.integers(-(10**8), 10**8), st.integers(1, 10**4))
roundings = st.none() | st.builds(
    LineRounding,
    point=st.sampled_from(["line", "bill", "bill"]),
    mode=st.sampled_from(list(RoundingMode)),
    decimals=st.none() | st.integers(0, 2),
)


@given(st.lists(st.tuples(exact_amounts, roundings), max_size=12), st.lists(exact_amounts, max_size=3))
def test_whatever_books_say_sums_are_rounded_once_and_no_line_is_a_whole_unit_off(
    told: list[tuple[Fraction, LineRounding | None]], before: list[Fraction]
) -> None:
    waiting = [returned(each) for each in closed([charge(100 + number, exact) for number, exact in enumerate(before)], "earlier")]
    fresh = [charge(number, exact, rounding) for number, (exact, rounding) in enumerate(told)]
    amounts = line_amounts([*waiting, *fresh])
    assert amounts[: len(waiting)] == [each.amount for each in waiting]
    sums: dict[tuple[RoundingMode, int], list[tuple[Fraction, Fraction]]] = {}
    for each, amount in zip(fresh, amounts[len(waiting) :], strict=True):
        assert amount.as_tuple().exponent == -2
        if each.line_rounding is None or each.line_rounding.point == "line":
            assert amount == line_amount(each)
        else:
            decimals = 2 if each.line_rounding.decimals is None else each.line_rounding.decimals
            assert abs(Fraction(amount) - exact_amount(each)) < Fraction(1, 10**decimals)
            sums.setdefault((each.line_rounding.mode, decimals), []).append((Fraction(amount), exact_amount(each)))
    for (mode, decimals), pairs in sums.items():
        exact = sum((exact for _, exact in pairs), Fraction(0))
        assert sum(amount for amount, _ in pairs) == round_to_decimals(exact, decimals, mode)


@given(st.lists(exact_amounts, min_size=1, max_size=12), st.sampled_from(list(RoundingMode)))
def test_numbers_of_any_sign_divide_into_rounded_ones(exact: list[Fraction], mode: RoundingMode) -> None:
    total = int(round_to_decimals(sum(exact, Fraction(0)), 0, mode))
    parts = divide_rounded(total, exact)
    assert sum(parts) == total
    assert all(abs(part - each) < 1 for part, each in zip(parts, exact, strict=True))


def test_a_cut_rounds_usage_and_fees_of_a_book_together_and_keeps_what_was_returned() -> None:
    books = RateBooks([parse_rate_book(BOOK, "book.yaml")])
    earlier = [returned(each) for each in closed(charges("0.005 0.005"), "returned")]
    usage = charge(9, Fraction("0.0001"))
    closing = decide_cut(AccountToCut(ACCOUNT, [*earlier, usage], [PRODUCT]), cut("c", "ada"), books, NOW)
    assert isinstance(closing, Closing)
    # 0.0001, 9.999 and 1.005 are 11.0041; each by itself, 11.01.
    amounts = {line.price_id + line.charge_id[:3]: str(line.amount) for line in closing.answer.lines}
    assert amounts == {"calls000": "0.01", "calls001": "0.00", "calls009": "0.00", "feeada": "10.00", "setupada": "1.00"}
    assert [str(line_amount(each.model_copy(update={"amount": None}))) for each in closing.made] == ["10.00", "1.01"]


@pytest.mark.parametrize(
    ("rounding", "expected"),
    [
        ("{mode: down}", ["9.99", "1.00"]),
        ("{mode: half_down}", ["10.00", "1.00"]),
        ("{decimals: 1}", ["10.00", "1.00"]),
        ("{point: record, mode: down}", ["10.00", "1.01"]),
        ("{point: bill, mode: down}", ["10.00", "1.00"]),
        ("{point: bill, mode: up}", ["10.00", "1.01"]),
    ],
)
def test_fees_are_rounded_as_their_book_says(rounding: str, expected: list[str]) -> None:
    books = RateBooks([parse_rate_book(BOOK.replace("{point: bill}", rounding), "book.yaml")])
    closing = decide_cut(AccountToCut(ACCOUNT, [], [PRODUCT]), cut("c", "ada"), books, NOW)
    assert isinstance(closing, Closing)
    assert [str(line.amount) for line in closing.answer.lines] == expected


def test_an_open_charge_shows_what_it_comes_to_alone() -> None:
    assert [str(line_amount(each)) for each in charges("0.005 0.005")] == ["0.01", "0.01"]


def test_a_book_that_changes_the_point_within_a_month_begins_a_charge() -> None:
    up = {"mode": RoundingMode.UP, "decimals": None}
    assert (
        len(
            {
                terms_of(None, None),
                terms_of(None, BILL),
                terms_of(None, LineRounding(**up)),
                terms_of(None, LineRounding(point="bill", **up)),
            }
        )
        == 4
    )


def test_the_audit_recomputes_amounts_by_the_first_cut_of_each_charge() -> None:
    first = closed(charges("0.005 0.005"), "first")
    alone = charge(9, Fraction("0.006"))
    again = closed([*map(returned, first), alone], "second")
    cuts = [[each.id for each in first], [each.id for each in again]]
    stored = {each.id: each for each in again}
    assert list(check_amounts_together(stored, cuts)) == []
    assert [difference for each in again for difference in check_amount(each)] == []
    swapped = {**stored, "000": again[0].model_copy(update={"amount": Decimal("0.00")})}
    (difference,) = check_amounts_together(swapped, cuts)
    assert (difference.category, difference.id, difference.expected) == (Category.CHARGE_AMOUNT, "000", "0.01 EUR")
    assert [each.category for each in check_amounts_together(stored, cuts[:1])] == [Category.CHARGE_CUT]


@pytest.mark.parametrize(("book", "zone", "table"), [example[:1] + example[2:] for example in examples() if example[1] == "bill"])
def test_a_bill_of_the_reference_has_the_amounts_in_its_lines(book: str, zone: str, table: str) -> None:
    header, *rows = table.splitlines()
    lines = [dict(zip(columns(header), columns(row), strict=True)) for row in rows]
    usages = [
        usage_of(
            id=f"{number}",
            identifier="+34600000000",
            usage_type=line["usage"],
            quantity=Decimal(line["quantity"].split()[0]),
            unit=line["quantity"].split()[1],
            called_number=None,
            started_at=line["starts"],
            characteristics={},
        )
        for number, line in enumerate(lines)
    ]
    trial = Trial(RateBooks([parse_rate_book(book, "book.yaml")]), "basic", zone, "EUR")
    priced = trial.price(usages)
    exact = [each.answer.amount for each in priced if isinstance(each.answer, PricedUsage)]
    assert exact == [Fraction(line["exact"]) for line in lines]
    assert [(line.price_id, str(line.amount)) for line in trial.bill(priced).lines] == [(line["price"], line["amount"]) for line in lines]
