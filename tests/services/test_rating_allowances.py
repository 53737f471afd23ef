"""Allowances on real MongoDB: what several workers and several deliveries draw from one bucket, they draw from it once."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest

from libs.contracts import SuspenseRetryRequested, UsageRated
from libs.money import sum_fractions
from libs.runtime import in_transaction
from services.rating.buckets import BucketStore
from services.rating.collisions import Collision, collisions
from services.rating.domain.deciding import Rated
from tests import drawing_world
from tests.drawing_world import NOW, DrawingWorld
from tests.rating_world import RatingWorld, account, call, number, product
from tests.world import build_service

BOOK = """
id: allowances
effective_from: 2020-01-01
currency: USD
offerings:
  family:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}}
    allowances:
      - {id: shared, description: Shared seconds, amount: 3000 s, shared: account, priority: 1}
      - {id: own, description: Seconds of each, amount: 10 s, rollover: {max: 5 s}, priority: 2}
      - {id: money, description: Money, amount: 2.50, recurrence: once, shared: account}
"""
USAGES = 6_000
LINES = 40
WORKERS, DRAWS = 8, 25
SHARED = "account|ada|shared|s|2026-03-01"


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    (tmp_path / "allowances.yaml").write_text(BOOK)
    return tmp_path


def line(place: int) -> str:
    return f"+1212555{place:04}"


async def family(rating: RatingWorld, lines: int) -> None:
    products = [product(f"line-{place}", "ada", number(line(place)), offering="family") for place in range(lines)]
    await rating.publish(account("ada"), *products)
    await rating.settle()


def taken(facts: Sequence[UsageRated]) -> dict[str, Decimal]:
    by_bucket: dict[str, Decimal] = {}
    for use in (use for fact in facts for use in fact.allowances):
        by_bucket[use.bucket_id] = by_bucket.get(use.bucket_id, Decimal(0)) + use.quantity / use.denominator
    return by_bucket


async def used(rating: RatingWorld) -> dict[str, Decimal]:
    return {
        bucket["_id"]: Decimal(bucket["used"] + bucket["used_later"]) / bucket["denominator"]
        for bucket in await rating.documents("buckets")
    }


async def test_two_workers_that_share_a_bucket_never_overspend_it_and_lose_nothing(rating: RatingWorld, rate_books_dir: Path) -> None:
    await family(rating, LINES)

    async def flow() -> None:
        for start in range(0, USAGES, 500):
            await rating.publish(*(call(f"u-{place}", line(place % LINES), seconds=1) for place in range(start, start + 500)))

    flowing = asyncio.create_task(flow())
    async with build_service("rating", rating.settings, rate_books_dir=rate_books_dir, rating_batch_size=200).running():
        await flowing
        await rating.settle()

    facts = await rating.facts(UsageRated)
    assert {fact.id for fact in facts} == {f"u-{place}" for place in range(USAGES)}
    once = list({fact.id: fact for fact in facts}.values())
    by_bucket = taken(once)
    assert by_bucket == await used(rating)
    assert by_bucket[SHARED] == 3_000
    # Then each line's own 10 s and the 5 s that February left it; then money.
    own = 0
    for place in range(LINES):
        of_line = taken([fact for fact in once if fact.product_id == f"line-{place}"])
        own_of_line = sum(amount for id, amount in of_line.items() if "|own|" in id)
        assert own_of_line == min(15, USAGES // LINES - of_line.get(SHARED, 0))
        own += int(own_of_line)
    assert by_bucket["account|ada|money|USD|once"] == Decimal("2.5")
    charges = await rating.charges()
    assert sum(charge.usage_count for charge in charges) == USAGES
    assert sum(charge.quantity for charge in charges) == USAGES - 3_000 - own
    assert sum(sum_fractions(charge.sums) for charge in charges) == USAGES - 3_000 - own - Fraction("2.5")


async def test_a_usage_that_comes_again_draws_once_and_gets_the_same_answer(rating: RatingWorld) -> None:
    await family(rating, 1)
    for _ in range(3):
        await rating.publish(call("u-1", line(0), seconds=3_001), call("u-1", line(0), seconds=3_001))
        await rating.settle()

    answers = await rating.facts(UsageRated)
    assert len(answers) == 6
    assert all(answer == answers[0] for answer in answers)
    assert [(use.allowance_id, use.quantity) for use in answers[0].allowances] == [("shared", 3_000), ("own", 1)]
    assert await used(rating) == taken(answers[:1])


async def test_late_usage_draws_from_the_bucket_of_its_own_month(rating: RatingWorld) -> None:
    await family(rating, 1)
    await rating.publish(call("april", line(0), at="2026-04-02 10:00"), call("march", line(0), at="2026-03-31 23:59"))
    await rating.settle()
    assert await used(rating) == {SHARED: 60, SHARED.replace("03-01", "04-01"): 60}
    (april, march) = sorted(await rating.documents("buckets"), key=lambda bucket: bucket["_id"], reverse=True)
    assert march["period"]["end"] == april["period"]["start"]


async def test_a_usage_that_waited_in_suspense_draws_when_it_is_rated(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), call("u-1", line(0)))
    await rating.settle()
    assert await used(rating) == {}
    await family(rating, 1)
    for _ in range(2):
        await rating.publish(SuspenseRetryRequested(id="retry"))
        await rating.settle()
    assert await used(rating) == {SHARED: 60}


async def test_draws_at_the_same_instant_are_made_one_after_the_other(rating: RatingWorld) -> None:
    store = BucketStore(rating.service.database)
    text = drawing_world.book(
        "- {id: shared, description: Shared, amount: 150 s, shared: account}",
        "- {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}}",
    )
    refused = 0

    async def draw(worker: int) -> list[Rated]:
        nonlocal refused
        world = DrawingWorld.of(text, products=[(line(worker), drawing_world.product(f"line-{worker}"))])
        done: list[Rated] = []
        for _ in range(WORKERS * DRAWS):
            world.stored = await store.find([SHARED])
            drawn = world.draw(drawing_world.usage(f"u-{worker}-{len(done)}", 1, identifier=line(worker)))
            try:
                with collisions():
                    await in_transaction(rating.service.client, partial(store.write, drawn.changes, NOW))
            except Collision:
                refused += 1
                continue
            done += drawn.rated
            if len(done) == DRAWS:
                return done
        raise AssertionError(f"worker {worker} was refused too often")

    async with asyncio.timeout(60):
        drawn = [rated for of_worker in await asyncio.gather(*map(draw, range(WORKERS))) for rated in of_worker]
    assert refused > 0
    assert len(drawn) == WORKERS * DRAWS
    assert sum(use.quantity for rated in drawn for use in rated.allowances) == 150
    assert await used(rating) == {SHARED: 150}
