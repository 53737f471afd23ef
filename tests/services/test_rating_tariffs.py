"""Rate books come at start and while rating runs: every worker prices by them, and none changes once it is in force."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused, UsageRated
from libs.runtime import RuntimeSettings
from services.rating.tariffs import RateBookChanged
from tests.rating_world import RatingWorld, account, number, product
from tests.world import build_service, read_facts

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def book(id: str, *, effective_from: str = "2026-01-01", amount: str = "0.10", offering: str = "published") -> str:
    """A price list of calls."""
    return (
        f"id: {id}\neffective_from: {effective_from}\ncurrency: USD\nofferings:\n  {offering}:\n    usage_prices:\n"
        f"      - id: calls\n        description: Calls\n        match: {{usage_type: voice}}\n"
        f"        price: {{amount: {amount}, per: 60 s}}\n"
    )


def published(text: str) -> TariffPublished:
    return TariffPublished.of(text.split()[1], text, NOW)


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    (tmp_path / "file.yaml").write_text(book("file", offering="filed"))
    return tmp_path


async def test_a_published_book_prices_the_next_usage_of_every_worker(rating: RatingWorld, rate_books_dir: Path):
    other = build_service("rating", rating.settings, rate_books_dir=rate_books_dir)
    await rating.publish(account("a1"), product("p1", "a1", *(number(f"+1212555{line:04d}") for line in range(40)), offering="published"))
    await rating.settle()
    async with other.running():
        await rating.publish(rating.call("before", "+12125550000"))
        await rating.settle()
        await rating.publish(published(book("first")))
        await rating.settle()
        await rating.publish(*(rating.call(f"after-{line}", f"+1212555{line:04d}") for line in range(40)))
        await rating.settle()

    rated = await rating.facts(UsageRated)
    # What came before the book waited for it.
    assert {usage.id for usage in rated} == {"before", *(f"after-{line}" for line in range(40))}
    assert {usage.rate_book for usage in rated} == {"first"}


async def test_a_book_that_is_refused_is_told_with_its_faults_and_prices_nothing(rating: RatingWorld):
    await rating.publish(published(book("faulty", amount="1e-3")))
    await rating.settle()

    (refused,) = await rating.facts(TariffRefused)
    assert refused.id == published(book("faulty", amount="1e-3")).id
    assert refused.faults == ("faulty.yaml:10: offerings.published.usage_prices[0].price.amount: '1e-3' is in float notation; write 0.001",)
    assert [document["_id"] for document in await rating.documents("tariffs")] == ["file"]


async def test_a_book_in_force_stays_and_one_that_is_not_may_be_replaced(rating: RatingWorld):
    await rating.publish(
        published(book("present")),
        published(book("present", amount="0.20")),
        published(book("future", effective_from="2099-01-01")),
    )
    await rating.settle()
    later = book("future", effective_from="2099-01-01", amount="0.20")
    await rating.publish(TariffPublished.of("future", later, datetime(2026, 11, 26, tzinfo=UTC)))
    await rating.settle()

    texts = {document["_id"]: document["text"] for document in await rating.documents("tariffs")}
    assert texts == {"file": book("file", offering="filed"), "present": book("present"), "future": later}
    assert [refused.book_id for refused in await rating.facts(TariffRefused)] == ["present"]


async def test_the_same_publication_twice_is_the_same_answer_twice(rating: RatingWorld):
    for _ in range(2):
        await rating.publish(published(book("twice")))
        await rating.settle()

    first, second = (answer for answer in await rating.facts(TariffAccepted) if answer.book_id == "twice")
    assert first == second


async def test_the_books_of_files_are_told_at_start_and_cannot_change_once_in_force(rating: RatingWorld, rate_books_dir: Path):
    file = rate_books_dir / "file.yaml"
    file.write_text("# The same in other words.\n" + file.read_text())
    async with build_service("rating", rating.settings, rate_books_dir=rate_books_dir).running():
        pass
    file.write_text(book("file", offering="filed", amount="0.20"))
    with pytest.raises(RateBookChanged, match=r"file.yaml:1: id: rate book 'file' has been in force since 2026-01-01"):
        async with build_service("rating", rating.settings, rate_books_dir=rate_books_dir).running():
            pass

    assert {answer.book_id for answer in await rating.facts(TariffAccepted)} == {"file"}


async def test_workers_that_start_at_once_take_a_file_once(settings: RuntimeSettings, rate_books_dir: Path):
    workers = [build_service("rating", settings, rate_books_dir=rate_books_dir) for _ in range(3)]
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(stack.enter_async_context(worker.running()) for worker in workers))
        found = await workers[0].database["directory_version"].find_one({"_id": "tariffs"})

    answers = await read_facts(settings, TariffAccepted)
    assert found == {"_id": "tariffs", "version": 1}
    assert (len(answers), len(set(answers))) == (3, 1)
