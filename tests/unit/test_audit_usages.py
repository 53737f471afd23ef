"""Usages beside their messages, their prices and their suspense; and streams walked side by side."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.audit.alignment import align
from libs.audit.domain.difference import Category, Difference
from libs.audit.domain.usages import check_price, check_suspended, is_stored_as_received, malformed_id
from libs.audit.findings import DIFFERENCES_KEPT_MAX, Findings
from libs.contracts import RejectionReason, UsageReceived
from libs.pricing import RateBooks, RejectedUsage, parse_rate_book
from services.rating.domain import suspense

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
USAGE = UsageReceived(id="u1", identifier="+1", usage_type="voice", started_at=AT, quantity=Decimal(60), unit="s", called_number="+2")
STORED = {"_id": "u1", "identifier": "+1", "usage_type": "voice", "started_at": AT, "quantity": 60, "unit": "s", "called_number": "+2"}
PRICED = {"price_id": "day", "charged_quantity": 60, "numerator": 1020, "denominator": 6000, "currency": "USD"}
BOOK = parse_rate_book(
    "{id: churn, effective_from: 2020-01-01, currency: USD, offerings: {plan: {usage_prices: ["
    "{id: day, description: Calls, match: {usage_type: voice}, price: {amount: 0.17, per: 60 s}, increments: 1/1}]}}}",
    "churn.yaml",
)
PRICE = RateBooks([BOOK]).price_usage("plan", USAGE, time_zone="UTC", currency="USD")


@pytest.mark.parametrize("quantity", [60, Decimal("60.0"), "60"])
def test_a_usage_stored_as_it_was_received_is_right(quantity: Any):
    assert is_stored_as_received(USAGE, {**STORED, "quantity": quantity})


@pytest.mark.parametrize(
    "change",
    [
        {"identifier": "+3"},
        {"usage_type": "sms"},
        {"started_at": datetime(2026, 3, 2, 11, tzinfo=UTC)},
        {"quantity": 61},
        {"unit": "byte"},
        {"called_number": None},
        {"characteristics": {"zone": "1"}},
    ],
)
def test_any_other_field_is_another_usage(change: dict[str, Any]):
    assert not is_stored_as_received(USAGE, {**STORED, **change})


def test_malformed_messages_have_the_ids_that_rating_gives_them():
    assert malformed_id(b"{broken") == suspense.malformed_id(b"{broken")


@pytest.mark.parametrize("change", [{}, {"charged_quantity": Decimal("60.0")}])
def test_a_usage_with_the_price_of_its_book_is_right(change: dict[str, Any]):
    assert list(check_price({**STORED, **PRICED, **change}, PRICE)) == []


@pytest.mark.parametrize(
    "change", [{"price_id": "night"}, {"charged_quantity": 61}, {"numerator": 1021}, {"denominator": 600}, {"currency": "EUR"}]
)
def test_any_other_price_differs(change: dict[str, Any]):
    (difference,) = check_price({**STORED, **PRICED, **change}, PRICE)
    assert (difference.category, difference.id) == (Category.USAGE_PRICE, "u1")


def test_a_usage_that_has_no_price_differs():
    (difference,) = check_price({**STORED, **PRICED}, RejectedUsage(RejectionReason.NO_PRICE, "nothing fits"))
    assert difference.expected == "no price: no-price"


@pytest.mark.parametrize(
    ("usages", "entries", "differs"),
    [
        (["u1"], [{"state": "open", "reason": "no-price"}], False),
        (["u1"], [{"state": "discarded", "reason": "no-price"}], False),
        ([], [{"state": "rated", "reason": "no-price"}], False),
        ([], [{"state": "open", "reason": "malformed"}], False),
        ([], [{"state": "open", "reason": "duplicate-id"}], False),
        (["u1"], [], True),
        (["u1"], [{"state": "rated", "reason": "no-price"}], True),
        ([], [{"state": "open", "reason": "no-price"}], True),
    ],
)
def test_a_usage_without_a_price_waits_in_suspense(usages: list[str], entries: list[dict[str, str]], differs: bool):
    assert [difference.category for difference in check_suspended("s1", usages, entries)] == [Category.SUSPENSE] * differs


async def stream(*pairs: tuple[str, int]) -> AsyncIterator[tuple[str, int]]:
    for pair in pairs:
        yield pair


async def test_streams_are_walked_side_by_side_with_gaps_and_repeats():
    aligned = [pair async for pair in align(stream(("a", 1), ("b", 2), ("b", 3)), stream(("b", 4), ("c", 5)), stream())]
    assert aligned == [("a", [[1], [], []]), ("b", [[2, 3], [4], []]), ("c", [[], [5], []])]


async def test_a_stream_out_of_order_is_not_compared():
    with pytest.raises(AssertionError, match="not in order"):
        [pair async for pair in align(stream(("b", 1), ("a", 2)))]


def test_all_differences_are_counted_and_the_first_are_kept():
    findings = Findings()
    findings.add(*[Difference(category=Category.CHARGE_AMOUNT, id=f"{number}", expected="", found="") for number in range(1_500)])
    assert (findings.counts[Category.CHARGE_AMOUNT], len(findings.differences), findings.is_clean) == (1_500, DIFFERENCES_KEPT_MAX, False)
