"""Usage that waited for a product, an account or a price is rated by itself once that arrives, by whichever worker hears of it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.contracts import RejectionReason, SuspenseResolved, SuspenseRetryRequested, TariffPublished, UsageRated, UsageRejected
from libs.contracts.tariffs import publication_id
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from services.rating.suspense import RETRIED_AT_A_TIME
from tests.rating_world import RatingWorld, account, call, cut, number, product
from tests.world import build_service

ADA = "+12125550001"
LATE_BOOK = """
id: late
effective_from: 2020-01-01
currency: USD
offerings:
  late-plan:
    usage_prices:
      - {id: late-voice, description: Calls, match: {usage_type: voice}, price: {amount: 0.06, per: 60 s}}
"""
LINES = 60


@pytest.fixture
async def two_workers(settings: RuntimeSettings) -> AsyncIterator[RatingWorld]:
    """Two workers of rating that share all topics."""
    books = Path("deploy/rate-books")
    async with AsyncExitStack() as both, lag_reader(settings) as lag:
        first = await both.enter_async_context(build_service("rating", settings, rate_books_dir=books).running())
        await both.enter_async_context(build_service("rating", settings, rate_books_dir=books).running())
        yield RatingWorld(settings, first, lag)


async def states(rating: RatingWorld) -> Mapping[str, tuple[str, str]]:
    return {entry["usage_id"]: (entry["state"], entry["reason"]) for entry in await rating.documents("suspense")}


async def test_usage_waits_for_its_product_then_its_account_then_its_price(rating: RatingWorld) -> None:
    await rating.publish(call("u-1", ADA, seconds=120), call("other", "+12125550002"))
    await rating.settle()
    assert (await states(rating))["u-1"] == ("open", "unknown-product")
    await rating.publish(product("line", "ada", number(ADA), offering="late-plan"))
    await rating.settle()
    assert (await states(rating))["u-1"] == ("open", "unknown-account")
    await rating.publish(account("ada"))
    await rating.settle()
    assert (await states(rating))["u-1"] == ("open", "no-price")
    book = TariffPublished(
        id=publication_id("late", LATE_BOOK),
        book_id="late",
        text=LATE_BOOK,
        file="late.yaml",
        published_at=datetime(2026, 4, 1, tzinfo=UTC),
    )
    await rating.publish(book)
    await rating.settle()

    assert await states(rating) == {"u-1": ("rated", "no-price"), "other": ("open", "unknown-product")}
    (charge,) = await rating.charges()
    assert (charge.usage_count, charge.sums) == (1, {"6000": 720})
    (rated,) = await rating.facts(UsageRated)
    await rating.publish(call("u-1", ADA, seconds=120), product("line", "ada", number(ADA), offering="late-plan"), account("ada"), book)
    await rating.settle()
    assert await rating.facts(UsageRated) == [rated, rated]
    assert await rating.charges() == [charge]


async def test_a_formatted_identifier_waits_for_the_number_that_it_is(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), call("u-1", "+1 (212) 555-0001"))
    await rating.settle()
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    assert (await states(rating))["u-1"] == ("rated", "unknown-product")


async def test_usage_of_a_month_that_was_cut_meanwhile_opens_the_next_sequence(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA), call("late", "+12125550002", seconds=90))
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()
    await rating.publish(product("second", "ada", number("+12125550002")), product("ada-line", "ada", number(ADA), revision=2))
    await rating.settle()
    charges = {charge.product_id: (charge.sequence, charge.period.start) for charge in await rating.charges(kind="usage")}
    assert charges["second"] == (1, charges["ada-line"][1])


async def test_what_fails_again_waits_for_the_next_arrival_and_asks_for_nothing_itself(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), *(call(f"u-{i}", ADA, unit="byte") for i in range(3)))
    await rating.settle()
    for revision in (1, 2, 2, 1):
        await rating.publish(product("line", "ada", number(ADA), revision=revision))
        await rating.settle()
    assert set((await states(rating)).values()) == {("open", RejectionReason.WRONG_UNIT.value)}
    resolved = await rating.facts(SuspenseResolved)
    assert {(fact.rated_count, fact.suspended_count) for fact in resolved} == {(0, 3)}
    assert len(resolved) <= 4


async def test_a_long_wait_is_ended_in_steps(rating: RatingWorld) -> None:
    count = 2 * RETRIED_AT_A_TIME + 1
    await rating.publish(account("ada"), *(call(f"u-{i}", ADA) for i in range(count)))
    await rating.settle()
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    (charge,) = await rating.charges()
    assert charge.usage_count == count
    requested = await rating.facts(SuspenseRetryRequested)
    assert [request.after == "" for request in requested].count(True) == 1
    assert len(requested) == 3


async def test_usages_right_behind_their_products_are_all_rated_by_two_workers(two_workers: RatingWorld) -> None:
    rating = two_workers
    await rating.settle()
    numbers = [f"+1212555{line:04}" for line in range(1_000, 1_000 + LINES)]

    async def open_line(line: int, caller: str) -> None:
        await rating.publish(product(f"line-{line}", f"account-{line}", number(caller)))
        await rating.publish(call(f"u-{line}", caller), account(f"account-{line}"))
        await rating.publish(call(f"again-{line}", caller))

    await asyncio.gather(*(open_line(line, caller) for line, caller in enumerate(numbers)))
    await rating.settle()
    assert [entry for entry in await rating.documents("suspense") if entry["state"] != "rated"] == []
    charges = await rating.charges()
    assert (len(charges), sum(charge.usage_count for charge in charges)) == (LINES, 2 * LINES)


async def test_a_released_usage_that_waits_for_its_product_stays_released(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), call("u-1", ADA, seconds=5 * 86_400))
    await rating.settle()
    (rejected,) = await rating.facts(UsageRejected)
    assert rejected.reason is RejectionReason.BEYOND_LIMITS
    await rating.publish(SuspenseRetryRequested(id="release", suspense_id=rejected.suspense_id, beyond_limits=True, note="a ship's line"))
    await rating.settle()
    assert (await states(rating))["u-1"] == ("open", "unknown-product")
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    (entry,) = await rating.documents("suspense")
    assert (entry["state"], entry["note"], entry["beyond_limits"]) == ("rated", "a ship's line", True)
    (charge,) = await rating.charges()
    assert charge.quantity == 5 * 86_400
