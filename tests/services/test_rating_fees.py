"""Recurring fees at the cut: prorated by day, and never charged twice for a month."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from libs.contracts import ChargesClosed, ProductStatus
from tests.rating_world import RatingWorld, account, cut, cut_now, product


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    """A book with a recurring fee."""
    (tmp_path / "fee.yaml").write_text(
        """
id: fee
effective_from: 2020-01-01
currency: USD
offerings:
  churn-plan:
    recurring_prices:
      - id: line
        description: Line
        amount: 31.00
        period: month
  dearer-plan:
    recurring_prices:
      - id: dearer-line
        description: Dearer line
        amount: 62.00
        period: month
"""
    )
    return tmp_path


async def test_a_recurring_fee_is_prorated_by_day_and_charged_once(rating: RatingWorld) -> None:
    joined = datetime(2026, 3, 10, 20, tzinfo=UTC)
    left = datetime(2026, 3, 20, 20, tzinfo=UTC)
    await rating.publish(
        account("ada"),
        product("whole", "ada"),
        product("joined", "ada", started_at=joined),
        product("left", "ada", ended_at=left),
        product("not-yet", "ada", started_at=datetime(2026, 4, 2, tzinfo=UTC)),
    )
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"), cut("cut-2", "ada"), cut_now("demand", "ada"))
    await rating.settle()

    closed = {closed.id: closed for closed in await rating.facts(ChargesClosed)}
    assert {line.product_id: (line.amount, line.description) for line in closed["cut-1"].lines} == {
        "whole": (Decimal("31.00"), "Line"),
        "joined": (Decimal("22.00"), "Line (22 of 31 days)"),
        "left": (Decimal("20.00"), "Line (20 of 31 days)"),
    }
    assert closed["cut-2"].lines == closed["demand"].lines == ()


async def test_there_is_no_fee_after_the_closing_of_an_account_but_of_products_with_an_end_of_their_own(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), product("endless", "ada"), product("notice", "ada", ended_at=datetime(2026, 4, 5, 20, tzinfo=UTC)))
    await rating.settle()
    closed = {"account_closed_at": datetime(2026, 3, 10, 20, tzinfo=UTC)}
    await rating.publish(*(cut(month, "ada", month).model_copy(update=closed) for month in ("2026-03", "2026-04", "2026-05")))
    await rating.settle()

    assert [(line.product_id, line.description) for closed in await rating.facts(ChargesClosed) for line in closed.lines] == [
        ("endless", "Line (10 of 31 days)"),
        ("notice", "Line"),
        ("notice", "Line (5 of 30 days)"),
    ]


async def test_the_fees_of_a_product_that_rating_hears_of_late_are_on_the_next_bill_once(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), product("first", "ada"), product("promised", "ada", status=ProductStatus.PENDING_ACTIVE))
    await rating.settle()
    await rating.publish(cut("february", "ada", "2026-02"), cut("march", "ada"))
    await rating.settle()
    began = {"started_at": datetime(2026, 3, 10, 20, tzinfo=UTC), "revision": 2}
    await rating.publish(product("late", "ada", **began), product("promised", "ada", **began))
    await rating.settle()
    await rating.publish(cut("april", "ada", "2026-04"), cut("may", "ada", "2026-05"))
    await rating.settle()
    moved = {"offering": "dearer-plan", "started_at": datetime(2026, 2, 1, 20, tzinfo=UTC), "revision": 3}
    await rating.publish(product("late", "ada", **moved))
    await rating.settle()
    await rating.publish(cut("june", "ada", "2026-06"))
    await rating.settle()

    closed = {closed.id: [(line.product_id, line.description) for line in closed.lines] for closed in await rating.facts(ChargesClosed)}
    assert closed == {
        "february": [("first", "Line")],
        "march": [("first", "Line")],
        "april": [
            ("first", "Line"),
            ("late", "Line (22 of 31 days)"),
            ("late", "Line"),
            ("promised", "Line (22 of 31 days)"),
            ("promised", "Line"),
        ],
        "may": [("first", "Line"), ("late", "Line"), ("promised", "Line")],
        "june": [("first", "Line"), ("late", "Dearer line"), ("promised", "Line")],
    }


async def test_no_fee_is_charged_for_months_that_were_never_cut(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), product("first", "ada"))
    await rating.settle()
    await rating.publish(cut_now("demand", "ada"), cut("april", "ada", "2026-04"))
    await rating.settle()

    closed = {closed.id: len(closed.lines) for closed in await rating.facts(ChargesClosed)}
    assert closed == {"demand": 0, "april": 1}
