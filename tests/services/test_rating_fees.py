"""Recurring fees at the cut: prorated by day, and never charged twice for a month."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from libs.contracts import AccountParked, ChargesClosed, FeesNotCharged, ProductStatus, RunType, Suspension, TariffPublished
from libs.periods import Period, calendar_month
from tests.rating_world import ZONE, RatingWorld, account, cut, cut_now, product

# Most products began long before, and were billed elsewhere.
FEBRUARY, MARCH = (calendar_month(month, ZONE).start for month in ("2026-02", "2026-03"))


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
  prepaid-plan:
    recurring_prices:
      - {id: rental, description: Rental, amount: 30.00, period: month, charged: advance, while_suspended: free}
    one_time_prices:
      - {id: set-up, description: Set-up, amount: 15.00, charged_at: activation}
      - {id: leaving, description: Early leaving, amount: 99.00, charged_at: termination}
"""
    )
    return tmp_path


async def test_a_recurring_fee_is_prorated_by_day_and_charged_once(rating: RatingWorld) -> None:
    joined = datetime(2026, 3, 10, 20, tzinfo=UTC)
    left = datetime(2026, 3, 20, 20, tzinfo=UTC)
    await rating.publish(
        account("ada", billed_from=MARCH),
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
    await rating.publish(
        account("ada", billed_from=MARCH),
        product("endless", "ada"),
        product("notice", "ada", ended_at=datetime(2026, 4, 5, 20, tzinfo=UTC)),
    )
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
    promised = product("promised", "ada", status=ProductStatus.PENDING_ACTIVE)
    await rating.publish(account("ada", billed_from=FEBRUARY), product("first", "ada"), promised)
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
        # That it began earlier, with another offering, makes no newcomer of it.
        "june": [
            ("first", "Line"),
            ("late", "Dearer line"),
            ("late", "Dearer line"),
            ("late", "Line (22 of 31 days): credit"),
            ("late", "Dearer line"),
            ("late", "Line: credit"),
            ("late", "Dearer line"),
            ("late", "Line: credit"),
            ("late", "Dearer line"),
            ("promised", "Line"),
        ],
    }


async def test_months_that_were_never_cut_are_caught_up_from_the_start_of_billing_on(rating: RatingWorld) -> None:
    await rating.publish(account("ada", billed_from=MARCH), product("first", "ada"))
    await rating.settle()
    cycles = [cut(name, "ada", month) for name, month in (("april", "2026-04"), ("june", "2026-06"), ("may", "2026-05"))]
    await rating.publish(cut_now("demand", "ada"), *cycles)
    await rating.settle()

    closed = {closed.id: [line.period.start.month for line in closed.lines] for closed in await rating.facts(ChargesClosed)}
    assert closed == {"demand": [], "april": [3, 4], "june": [5, 6], "may": []}


async def test_fees_that_no_cut_will_charge_are_told_with_the_cut_however_often_it_comes(rating: RatingWorld) -> None:
    began = datetime(2024, 1, 1, 20, tzinfo=UTC)
    await rating.publish(account("ada"), account("bob", billed_from=MARCH), product("old", "ada", started_at=began))
    await rating.publish(product("billed-elsewhere", "bob", started_at=began))
    await rating.settle()
    for _ in range(2):
        await rating.publish(cut("march-ada", "ada"), cut("march-bob", "bob"))
        await rating.settle()
    await rating.publish(cut("april-ada", "ada", "2026-04"))
    await rating.settle()

    first, again = await rating.facts(FeesNotCharged)
    (fee,) = first.fees
    assert again == first
    assert (first.id, first.account_id, first.cause_id) == ("march-ada", "ada", "monthly:2026-03")
    assert (fee.product_id, fee.price_id, fee.period_count) == ("old", "line", 14)
    assert fee.period == Period(start=calendar_month("2024-01", ZONE).start, end=calendar_month("2025-02", ZONE).end)
    march = next(closed for closed in await rating.facts(ChargesClosed) if closed.id == "march-ada")
    assert min(line.period.start for line in march.lines) == fee.period.end, "what is charged begins where that ends"


async def test_a_contract_that_is_entered_late_is_billed_alike_on_an_old_account_and_on_a_new_one(rating: RatingWorld) -> None:
    await rating.publish(account("old"))
    await rating.settle()
    await rating.publish(cut("old-may", "old", "2026-05"), cut("old-june", "old", "2026-06"))
    await rating.settle()
    began = {"started_at": datetime(2026, 5, 10, 16, tzinfo=UTC)}
    await rating.publish(account("new"), product("old-line", "old", **began), product("new-line", "new", **began))
    await rating.settle()
    await rating.publish(cut("old-july", "old", "2026-07"), cut("new-july", "new", "2026-07"))
    await rating.settle()

    july = [closed for closed in await rating.facts(ChargesClosed) if closed.id.endswith("july")]
    amounts = {closed.account_id: [line.amount for line in closed.lines] for closed in july}
    owed = [Decimal("22.00"), Decimal("31.00"), Decimal("31.00")]
    assert amounts == {"old": owed, "new": owed}


async def test_a_fee_in_advance_is_credited_for_what_was_not_served(rating: RatingWorld) -> None:
    line = {"offering": "prepaid-plan", "started_at": datetime(2026, 3, 17, 20, tzinfo=UTC)}
    await rating.publish(account("ada"), product("line", "ada", **line))
    await rating.settle()
    await rating.publish(cut("march", "ada"))
    await rating.settle()
    suspended = (Suspension(start=datetime(2026, 4, 6, 20, tzinfo=UTC), end=datetime(2026, 4, 9, 20, tzinfo=UTC)),)
    await rating.publish(product("line", "ada", **line, revision=2, suspensions=suspended))
    await rating.settle()
    await rating.publish(cut("april", "ada", "2026-04"))
    await rating.settle()
    ended = {"ended_at": datetime(2026, 5, 20, 20, tzinfo=UTC), "status": ProductStatus.TERMINATED}
    await rating.publish(product("line", "ada", **line, revision=3, suspensions=suspended, **ended))
    await rating.settle()
    await rating.publish(cut("may", "ada", "2026-05"), cut("may-again", "ada", "2026-05"), cut("june", "ada", "2026-06"))
    await rating.settle()

    closed = {closed.id: {line.description: line.amount for line in closed.lines} for closed in await rating.facts(ChargesClosed)}
    assert closed == {
        "march": {"Rental (15 of 31 days)": Decimal("14.52"), "Rental": Decimal("30.00"), "Set-up": Decimal("15.00")},
        "april": {"Rental: credit (30 of 30 days, 3 suspended, due)": Decimal("-3.00"), "Rental": Decimal("30.00")},
        "may": {"Rental: credit (20 of 31 days due)": Decimal("-10.65"), "Early leaving": Decimal("99.00")},
        "may-again": {},
        "june": {},
    }


async def test_a_fee_in_advance_whose_bill_is_given_up_is_on_the_next_bill_of_the_same_month(rating: RatingWorld) -> None:
    await rating.publish(account("ada", billed_from=MARCH), product("line", "ada", offering="prepaid-plan"))
    await rating.settle()
    await rating.publish(cut("march", "ada"))
    await rating.settle()
    await rating.publish(
        AccountParked(id="march", account_id="ada", run_type=RunType.ON_CYCLE, cause_id="monthly:2026-03", reason="test", is_final=True)
    )
    await rating.settle()
    await rating.publish(cut("march-anew", "ada"))
    await rating.settle()

    first, again = ({line.charge_id for line in closed.lines} for closed in await rating.facts(ChargesClosed))
    assert first == again
    assert len(first) == 2


async def test_fees_follow_a_late_book_a_corrected_start_and_a_cancellation_whatever_they_were_charged_as(rating: RatingWorld) -> None:
    line = {"offering": "prepaid-plan", "started_at": datetime(2026, 2, 10, 20, tzinfo=UTC)}
    await rating.publish(account("ada"), *(product(id, "ada", **line) for id in ("late", "never", "renamed")))
    await rating.settle()
    await rating.publish(cut("february", "ada", "2026-02"), cut("march", "ada"))
    await rating.settle()
    renamed = """
id: late
effective_from: 2026-04-01
currency: USD
offerings:
  prepaid-plan:
    recurring_prices: [{id: rent, description: Rent, amount: 45.00, period: month, charged: advance, while_suspended: free}]
"""
    await rating.publish(
        TariffPublished.of("late", renamed, datetime(2026, 4, 10, tzinfo=UTC)),
        product("late", "ada", **{**line, "started_at": datetime(2026, 4, 16, 20, tzinfo=UTC)}, revision=2),
        product("never", "ada", **line, revision=2, status=ProductStatus.CANCELLED),
    )
    await rating.settle()
    await rating.publish(cut("april", "ada", "2026-04"), cut("may", "ada", "2026-05"))
    await rating.settle()

    closed = {
        closed.id: sorted((line.product_id, line.description, line.amount) for line in closed.lines)
        for closed in await rating.facts(ChargesClosed)
    }
    back = [("Rental (19 of 28 days): credit", Decimal("-20.36")), *[("Rental: credit", Decimal(-30))] * 2]
    assert closed["april"] == sorted(
        [
            *(("late", *credit) for credit in back),
            ("late", "Rent (15 of 30 days)", Decimal("22.50")),
            ("late", "Rent", Decimal(45)),
            *(("never", *credit) for credit in back),
            ("renamed", "Rental: credit", Decimal(-30)),
            ("renamed", "Rent", Decimal(45)),
            ("renamed", "Rent", Decimal(45)),
        ]
    )
    assert closed["may"] == [("late", "Rent", Decimal(45)), ("renamed", "Rent", Decimal(45))]


async def test_months_that_a_later_start_passed_over_are_charged(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), product("line", "ada", started_at=datetime(2026, 4, 20, 20, tzinfo=UTC)))
    await rating.settle()
    await rating.publish(cut("march", "ada"))
    await rating.settle()
    await rating.publish(product("line", "ada", started_at=datetime(2026, 2, 10, 20, tzinfo=UTC), revision=2))
    await rating.settle()
    await rating.publish(cut("april", "ada", "2026-04"))
    await rating.settle()

    closed = [[(line.description, line.amount) for line in closed.lines] for closed in await rating.facts(ChargesClosed)]
    assert closed == [[], [("Line (19 of 28 days)", Decimal("21.04")), *[("Line", Decimal("31.00"))] * 2]]
