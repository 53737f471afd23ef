"""Bills added up again, their numbers walked, their entries and balances compared."""

import dataclasses
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.audit.domain.bills import check_bill
from libs.audit.domain.difference import Category
from libs.audit.domain.ledger import BillEntry, BillTotals, Owed, check_balance, check_entry
from libs.audit.domain.numbers import NumberWalk
from libs.billing import BillDraft, TaxTable, assemble_bill
from libs.billing.tax_table import DatedTax
from libs.billing.taxes import Tax
from libs.contracts import AppliedTax, BillIssued, BillLine, ChargeKind, RunType
from libs.periods import calendar_month
from tests.closings import TERMS, closed
from tests.closings import line as charge_line
from tests.outcomes import account, issued


def tax(amount: str, category: str = "standard", rate: str = "21") -> AppliedTax:
    return AppliedTax(category=category, rate=Decimal(rate), amount=Decimal(amount))


def line(charge_id: str, amount: str, share: AppliedTax) -> BillLine:
    return BillLine(
        charge_id=charge_id,
        product_id="p1",
        product_name="Line",
        price_id="voice-day",
        kind=ChargeKind.USAGE,
        description="Calls",
        usage_count=1,
        quantity=Decimal(60),
        period=calendar_month("2026-03", "UTC"),
        amount=Decimal(amount),
        taxes=(share,),
    )


def bill(**fields) -> BillIssued:
    whole = {
        "lines": (line("c1", "10.00", tax("2.10")), line("c2", "0.05", tax("0.01"))),
        "tax_items": (tax("2.11"),),
        "tax_excluded_amount": Decimal("10.05"),
        "tax_included_amount": Decimal("12.16"),
        "amount_due": Decimal("12.16"),
    }
    return issued("ada", "r1", RunType.OFF_CYCLE).model_copy(update={**whole, **fields})


def test_a_bill_that_adds_up_is_right():
    assert list(check_bill(bill())) == []


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"tax_excluded_amount": Decimal("10.06")}, Category.BILL_TOTALS),
        ({"tax_included_amount": Decimal("12.17"), "amount_due": Decimal("12.17")}, Category.BILL_TOTALS),
        ({"amount_due": Decimal("12.15")}, Category.BILL_TOTALS),
        ({"tax_items": (tax("2.12"),), "tax_included_amount": Decimal("12.17"), "amount_due": Decimal("12.17")}, Category.BILL_TAX),
        ({"tax_items": (tax("2.11", category="reduced"),)}, Category.BILL_TAX),
        ({"lines": (line("c1", "10.00", tax("2.09")), line("c2", "0.05", tax("0.02")))}, Category.BILL_TAX),
        ({"lines": (line("c1", "10.00", tax("2.10")), line("c1", "0.05", tax("0.01")))}, Category.BILL_TOTALS),
    ],
)
def test_a_bill_whose_totals_taxes_or_shares_are_others_differs(fields, category):
    assert category in {difference.category for difference in check_bill(bill(**fields))}


GST, QST = Tax("gst", Decimal(5)), Tax("qst", Decimal("9.5"), ("gst",))


@given(st.lists(st.tuples(st.integers(-(10**8), 10**8), st.booleans(), st.sampled_from([None, "reduced"])), min_size=1, max_size=8))
def test_bills_with_several_taxes_and_prices_that_include_them_are_right(charges):
    lines = [
        charge_line(f"c{n}", Decimal(cents).scaleb(-2), is_tax_included=included, tax_category=category)
        for n, (cents, included, category) in enumerate(charges)
    ]
    table = TaxTable({"": {"standard": (DatedTax(GST), DatedTax(QST)), "reduced": (DatedTax(GST),)}})
    draft = assemble_bill(closed("ada", lines=lines), account("ada"), dataclasses.replace(TERMS, tax_table=table))
    assert isinstance(draft, BillDraft)
    assert list(check_bill(draft.unnumbered)) == []


def walked(*numbers: int, counter: int) -> list[str]:
    walk = NumberWalk()
    differences = [difference for number in numbers for difference in walk.take("2026", number, f"bill-{number}")]
    return [f"{difference.id}: {difference.found}" for difference in (*differences, *walk.finish({"2026": counter}))]


def test_numbers_without_gap_and_repeat_are_right():
    assert walked(1, 2, 3, counter=3) == []


@pytest.mark.parametrize(
    ("numbers", "counter", "found"),
    [
        ((1, 3), 3, ["bill-3: 3: 2 missing"]),
        ((3,), 3, ["bill-3: 3: 1 to 2 missing"]),
        ((1, 2, 2, 3), 3, ["bill-2: 2 again"]),
        ((1, 2), 3, ["2026: 3"]),
        ((1, 2), 1, ["2026: 1"]),
        ((), 1, ["2026: 1"]),
    ],
)
def test_gaps_repeats_and_a_counter_elsewhere_are_told(numbers, counter, found):
    assert walked(*numbers, counter=counter) == found


def test_each_series_is_counted_by_itself():
    walk = NumberWalk()
    assert [*walk.take("A", 1, "b1"), *walk.take("B", 1, "b2"), *walk.finish({"A": 1, "B": 1})] == []


TOTALS = BillTotals("ada", "EUR", Decimal("10.00"), Decimal("12.10"), [("standard", Decimal("2.10"))])
POSTINGS = [("receivable", None, Decimal("12.10")), ("revenue", None, Decimal("-10.00")), ("tax", "standard", Decimal("-2.10"))]


@pytest.mark.parametrize(
    ("bills", "entries", "differs"),
    [
        ([TOTALS], [BillEntry("ada", "EUR", POSTINGS)], False),
        ([TOTALS], [], True),
        ([], [BillEntry("ada", "EUR", POSTINGS)], True),
        ([TOTALS], [BillEntry("ada", "EUR", POSTINGS)] * 2, True),
        ([TOTALS], [BillEntry("bob", "EUR", POSTINGS)], True),
        ([TOTALS], [BillEntry("ada", "USD", POSTINGS)], True),
        ([TOTALS], [BillEntry("ada", "EUR", POSTINGS[:2])], True),
        ([BillTotals("ada", "EUR", Decimal(0), Decimal(0), [("standard", Decimal(0))])], [BillEntry("ada", "EUR", [])], False),
    ],
)
def test_every_bill_has_one_entry_with_its_amounts(bills, entries, differs):
    categories = {difference.category for difference in check_entry("b1", bills, entries)}
    assert categories == ({Category.LEDGER_ENTRY} if differs else set())


@pytest.mark.parametrize(
    ("sums", "balances", "differs"),
    [
        ([Owed(Decimal("12.10"), 1)], [Owed(Decimal("12.10"), 1)], False),
        ([Owed(Decimal("12.10"), 1)], [Owed(Decimal("12.11"), 1)], True),
        ([Owed(Decimal("12.10"), 2)], [Owed(Decimal("12.10"), 1)], True),
        ([Owed(Decimal("12.10"), 1)], [], True),
        ([], [Owed(Decimal("12.10"), 1)], True),
    ],
)
def test_a_balance_is_the_sum_of_its_entries(sums, balances, differs):
    assert [difference.category for difference in check_balance("ada EUR", sums, balances)] == [Category.LEDGER_BALANCE] * differs


def test_an_entry_of_more_digits_than_the_ambient_context_has_adds_up():
    most = Decimal(10**28)
    cent = Decimal("0.01")
    bill = BillTotals("ada", "EUR", most, Decimal("10000000000000000000000000000.01"), [("standard", cent)])
    postings = [("receivable", None, bill.tax_included_amount), ("revenue", None, -most), ("tax", "standard", -cent)]
    assert list(check_entry("b1", [bill], [BillEntry("ada", "EUR", postings)])) == []
