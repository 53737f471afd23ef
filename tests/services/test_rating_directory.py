"""A batch sees every change of products that was remembered before it, by whichever worker, and reads only what changed."""

import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import CODEC_OPTIONS
from services.rating import product_changes
from services.rating.directory import Directory
from services.rating.domain.holdings import Holdings
from tests.rating_world import account, number, product

NUMBERS = [f"+1{line}" for line in range(12)]
ACCOUNTS = ["ada", "bob", "eve"]


class Reads(CommandListener):
    """The identifiers that were looked up in `products`."""

    def __init__(self) -> None:
        self.identifiers: list[str] = []

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name == "find" and event.command["find"] == "products":
            self.identifiers += event.command["filter"]["identifiers.value"]["$in"]

    def succeeded(self, event: CommandSucceededEvent) -> None: ...

    def failed(self, event: CommandFailedEvent) -> None: ...

    def taken(self) -> set[str]:
        taken, self.identifiers = set(self.identifiers), []
        return taken


@asynccontextmanager
async def opened(settings: RuntimeSettings, reads: Reads) -> AsyncIterator[AsyncDatabase]:
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(settings.mongodb_url, event_listeners=[reads])
    try:
        yield client.get_database(settings.database("rating"), codec_options=CODEC_OPTIONS)
    finally:
        await client.drop_database(settings.database("rating"))
        await client.close()


def holders(holdings: Holdings) -> dict[str, list[tuple[str, str]]]:
    """The products of each identifier with their offerings, without those that nobody holds."""
    return {
        identifier: sorted((held.product.id, held.product.offering_id) for held in tenures)
        for identifier, tenures in holdings.by_identifier.items()
        if tenures
    }


async def remember(directory: Directory, *products: Any) -> None:
    await directory.remember_products(products)


async def test_a_change_of_one_product_is_seen_by_the_next_batch_and_leaves_the_others_cached(settings: RuntimeSettings) -> None:
    reads = Reads()
    async with opened(settings, reads) as store:
        worker, other = Directory(store), Directory(store)
        await worker.remember_accounts(map(account, ACCOUNTS))
        await remember(worker, product("p1", "ada", number("+1")), product("p2", "bob", number("+2")), product("p3", "eve", number("+3")))
        await worker.holdings(["+1", "+2", "+3", "+4"])
        assert reads.taken() == {"+1", "+2", "+3", "+4"}
        await worker.holdings(["+1", "+2", "+3", "+4"])
        assert reads.taken() == set()

        # Another worker remembers a port: p2 gives +2 up, and takes +4, which nobody had.
        await remember(other, product("p2", "bob", number("+4"), revision=2, offering="new-plan"))
        found = await worker.holdings(["+1", "+2", "+3", "+4"])
        assert reads.taken() == {"+2", "+4"}
        assert holders(found) == {"+1": [("p1", "churn-plan")], "+3": [("p3", "churn-plan")], "+4": [("p2", "new-plan")]}
        assert set(found.accounts) == set(ACCOUNTS)


async def test_an_account_that_comes_late_is_found_without_any_change_of_its_product(settings: RuntimeSettings) -> None:
    async with opened(settings, Reads()) as store:
        worker = Directory(store)
        await remember(worker, product("p1", "ada", number("+1")))
        assert not (await worker.holdings(["+1"])).accounts
        await Directory(store).remember_accounts([account("ada")])
        assert set((await worker.holdings(["+1"])).accounts) == {"ada"}


async def test_the_cuts_of_an_account_are_read_again_once_a_batch_collided(settings: RuntimeSettings) -> None:
    async with opened(settings, Reads()) as store:
        worker = Directory(store)
        await worker.remember_accounts([account("ada")])
        await remember(worker, product("p1", "ada", number("+1")))
        await worker.holdings(["+1"])
        await store["accounts"].update_one({"_id": "ada"}, {"$inc": {"cuts.2026-03-01": 1}})
        worker.forget_accounts(["ada"])
        assert (await worker.holdings(["+1"])).accounts["ada"].cuts == {"2026-03-01": 1}


@pytest.mark.parametrize("kept", [1, 3, 1_000])
async def test_a_worker_always_sees_what_one_without_a_cache_sees(
    settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(product_changes, "KEYS_KEPT", kept)
    chance = random.Random(kept)
    async with opened(settings, Reads()) as store:
        workers = [Directory(store) for _ in range(3)]
        await workers[0].remember_accounts(map(account, ACCOUNTS))
        for revision in range(60):
            await remember(chance.choice(workers), *_changed(chance, revision))
            asked = chance.sample(NUMBERS, 6)
            worker = chance.choice(workers)
            assert holders(await worker.holdings(asked)) == holders(await Directory(store).holdings(asked))


def _changed(chance: random.Random, revision: int) -> Iterable[Any]:
    for id in chance.sample(["p1", "p2", "p3", "p4", "p5"], chance.randrange(1, 3)):
        held = map(number, chance.sample(NUMBERS, chance.randrange(3)))
        yield product(id, chance.choice(ACCOUNTS), *held, revision=revision, offering=f"plan-{revision}")


async def test_a_log_of_changes_stays_small(settings: RuntimeSettings) -> None:
    async with opened(settings, Reads()) as store:
        worker = Directory(store)
        for start in range(0, 3_000, 500):
            await remember(worker, *(product(f"p{line}", "ada", number(f"+1{line}")) for line in range(start, start + 500)))
        log = await store["directory_version"].find_one({"_id": "products"})
        assert log is not None
        assert (len(log["keys"]), log["count"]) == (product_changes.KEYS_KEPT, 6_000)
