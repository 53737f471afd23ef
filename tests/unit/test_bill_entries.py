"""What a bill books in the ledger: postings that add up to zero, and balances that follow from them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import BillIssued
from libs.contracts.adjustments import Discount, DiscountDue
from services.ledger.domain.entry import UnbalancedEntry, post_bill, receivables
from tests.closings import closed
from tests.outcomes import bill_of


def bill(account_id: str, *amounts: str, **charges: Any) -> BillIssued:
    return bill_of(closed(account_id, *amounts, **charges))


def test_a_bill_debits_what_is_owed_and_credits_revenue_and_tax():
    entry = post_bill(bill("ada", "100.00"))
    assert [(posting.ledger_account, posting.amount) for posting in entry.postings] == [
        ("receivable", Decimal("121.00")),
        ("revenue", Decimal("-100.00")),
        ("tax", Decimal("-21.00")),
    ]


def test_a_discount_after_tax_lowers_what_is_owed_and_neither_revenue_nor_tax():
    half = Discount(id="half", description="Half", model="percent", percent=Decimal(50), is_after_tax=True)
    due = (DiscountDue(product_id="line-1", product_name="Mobile", discount=half),)
    assert [(posting.ledger_account, posting.amount) for posting in post_bill(bill("ada", "100.00", discounts_after_tax=due)).postings] == [
        ("receivable", Decimal("60.50")),
        ("discount", Decimal("60.50")),
        ("revenue", Decimal("-100.00")),
        ("tax", Decimal("-21.00")),
    ]


def test_a_bill_of_zero_is_remembered_without_postings():
    entry = post_bill(bill("ada", "0.00"))
    assert (entry.id, entry.postings) == ("bill:ada.2026-03-01.onCycle", ())
    assert receivables([entry]) == {("ada", "EUR"): Decimal(0)}


def test_a_bill_that_does_not_add_up_is_not_posted():
    with pytest.raises(UnbalancedEntry, match=r"off balance by 0\.01 EUR"):
        post_bill(bill("ada", "100.00").model_copy(update={"tax_included_amount": Decimal("121.01")}))


def test_balances_are_kept_per_account_and_currency():
    entries = [post_bill(bill("ada", "100.00")), post_bill(bill("bob", "-10.00")), post_bill(bill("ada", "7", currency="JPY"))]
    assert receivables(entries) == {("ada", "EUR"): Decimal("121.00"), ("bob", "EUR"): Decimal("-12.10"), ("ada", "JPY"): Decimal(8)}


@given(st.lists(st.integers(min_value=-(10**9), max_value=10**9), min_size=1, max_size=10))
def test_every_entry_balances(cents: list[int]):
    entry = post_bill(bill("ada", *(str(Decimal(amount).scaleb(-2)) for amount in cents)))
    assert sum(posting.amount for posting in entry.postings) == 0
