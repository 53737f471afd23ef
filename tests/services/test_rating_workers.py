"""Two workers in one consumer group share the usage, and a rebalance in the middle counts nothing twice."""

import asyncio

from libs.contracts import UsageRated
from tests.rating_world import RatingWorld, account, call, number, product
from tests.world import build_service

USAGES = 20_000
ACCOUNTS = 200


async def test_a_second_worker_joins_and_leaves_while_messages_flow(rating: RatingWorld) -> None:
    accounts = [f"a{i}" for i in range(ACCOUNTS)]
    # Two numbers each: both workers add to the same charges.
    products = [product(f"{id}-line", id, number(f"+1{id}"), number(f"+2{id}")) for id in accounts]
    await rating.publish(*map(account, accounts), *products)
    await rating.settle()

    async def flow() -> None:
        for start in range(0, USAGES, 1_000):
            await rating.publish(*(call(f"u-{i}", f"+{i % 2 + 1}a{i % ACCOUNTS}", seconds=1) for i in range(start, start + 1_000)))

    flowing = asyncio.create_task(flow())
    async with build_service("rating", rating.settings, rating_batch_size=500).running():
        await flowing
    await rating.settle()

    assert sum(charge.usage_count for charge in await rating.charges()) == USAGES
    assert len(await rating.documents("usage")) == USAGES
    assert {fact.id for fact in await rating.facts(UsageRated)} == {f"u-{i}" for i in range(USAGES)}
