"""Thresholds: told when usage reaches them, once; with several numbers, workers and deliveries; on real Kafka and MongoDB."""

from decimal import Decimal
from pathlib import Path

import pytest

from libs.contracts import SuspenseRetryRequested, ThresholdCrossed, UsageRated
from tests.rating_world import RatingWorld, account, call, cut, number, product
from tests.world import build_service

ADA, TABLET = "+12125550001", "+12125550002"
BOOK = """
id: watched
effective_from: 2020-01-01
currency: USD
offerings:
  watched:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 1 s}}
      - id: texts
        description: Texts
        match: {usage_type: sms}
        graduated: [{up_to: 10 message, price: {amount: 1, per: 1 message}}, {price: {amount: 2, per: 1 message}}]
    allowances:
      - {id: gift, description: A gift, amount: 5 s, covers: {prices: [calls]}, recurrence: once}
    thresholds: {id: spent, amount: 40, percents: [50, 80, 100]}
"""


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    """One book with one offering, whose first 5 seconds are free."""
    (tmp_path / "watched.yaml").write_text(BOOK)
    return tmp_path


async def two_numbers(rating: RatingWorld) -> None:
    """A product with a telephone and a tablet."""
    await rating.publish(account("ada"), product("line", "ada", number(ADA), number(TABLET), offering="watched"))
    await rating.settle()


async def told(rating: RatingWorld) -> list[tuple[int, Decimal, str]]:
    """All that was told, in its order."""
    return [(fact.percent, fact.amount, fact.usage_id) for fact in await rating.facts(ThresholdCrossed)]


async def test_two_numbers_of_a_product_reach_its_thresholds_together_and_each_is_told_once(rating: RatingWorld) -> None:
    await two_numbers(rating)
    for id, number_of, seconds in (("u-1", ADA, 105), ("u-2", TABLET, 99), ("u-3", ADA, 1), ("u-4", TABLET, 150), ("u-5", ADA, 50)):
        await rating.publish(call(id, number_of, seconds=seconds))
        await rating.settle()
    assert await told(rating) == [(50, Decimal("20.00"), "u-3"), (80, Decimal("35.00"), "u-4"), (100, Decimal("40.00"), "u-5")]

    first = (await rating.facts(ThresholdCrossed))[0]
    assert (first.id, first.account_id, first.product_id, first.threshold_id) == (
        "ada|line|watched|2026-03-01|spent|50",
        "ada",
        "line",
        "spent",
    )
    assert (first.threshold_amount, first.currency) == (40, "USD")
    # What counts the month, what comes late, and another month.
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(
        call("late", ADA, seconds=500), call("april", ADA, usage_type="sms", unit="message", seconds=15, at="2026-04-02 10:00")
    )
    await rating.settle()
    assert (await told(rating))[3:] == [(50, Decimal("20.00"), "april")]


async def test_usage_that_comes_again_repeats_what_was_told_and_nothing_else(rating: RatingWorld) -> None:
    await two_numbers(rating)
    usages = [call("u-1", ADA, seconds=205), call("u-2", TABLET, seconds=150), call("u-3", ADA, seconds=10)]
    for usage in (*usages, usages[0], usages[2], usages[0]):
        await rating.publish(usage)
        await rating.settle()

    facts = await rating.facts(ThresholdCrossed)
    assert [(fact.percent, fact.usage_id) for fact in facts] == [(50, "u-1"), (80, "u-2"), (50, "u-1"), (50, "u-1")]
    assert facts[2:] == [facts[0]] * 2
    assert len(await rating.documents("crossings")) == 2


async def test_a_worker_that_ended_before_it_looked_is_made_up_for_by_the_next_delivery(rating: RatingWorld) -> None:
    await two_numbers(rating)
    await rating.publish(call("u-1", ADA, seconds=205), call("u-2", TABLET, seconds=150))
    await rating.settle()
    # As if it had ended once the usages were stored.
    await rating.service.database["crossings"].delete_many({})
    before = len(await told(rating))
    await rating.publish(call("u-1", ADA, seconds=205))
    await rating.settle()

    assert (await told(rating))[before:] == [(50, Decimal("35.00"), "u-1"), (80, Decimal("35.00"), "u-1")]


async def test_suspended_usage_counts_once_it_is_retried(rating: RatingWorld) -> None:
    await rating.publish(call("u-1", ADA, seconds=205))
    await rating.settle()
    # Else the product would have its usage rated by itself.
    await rating.service.database["suspense"].update_many({}, {"$unset": {"waits_for": 1}})
    await two_numbers(rating)
    assert await told(rating) == []
    for _ in range(2):
        await rating.publish(SuspenseRetryRequested(id="retry"))
        await rating.settle()

    assert await told(rating) == [(50, Decimal("20.00"), "u-1")] * 2


async def test_two_workers_tell_each_threshold_once(rating: RatingWorld, rate_books_dir: Path) -> None:
    accounts = [f"a{place}" for place in range(20)]
    products = [product(f"{id}-line", id, number(f"+1{id}"), number(f"+2{id}"), offering="watched") for id in accounts]
    await rating.publish(*map(account, accounts), *products)
    await rating.settle()
    # Each line reaches 40.00 with its very last second: whoever comes last must see what the other did.
    calls = [call(f"u-{part}-{line}-{id}", f"+{line}{id}", seconds=9) for part in range(22) for id in accounts for line in (1, 2)]
    calls += [call(f"rest-{id}", f"+1{id}", seconds=9) for id in accounts]

    async with build_service("rating", rating.settings, rating_batch_size=5, rate_books_dir=rate_books_dir).running():
        for start in range(0, len(calls), 60):
            await rating.publish(*calls[start : start + 60])
        await rating.settle()

    facts = await rating.facts(ThresholdCrossed)
    told_ids = {fact.id for fact in facts}
    assert len(await rating.facts(UsageRated)) >= len(calls)
    assert {(fact.account_id, fact.percent) for fact in facts} == {(id, percent) for id in accounts for percent in (50, 80, 100)}
    assert len(told_ids) == len(await rating.documents("crossings")) == 60
    # A rebalance may bring usage again, and with it what was told: never under another usage.
    assert len({(fact.id, fact.usage_id) for fact in facts}) == 60
