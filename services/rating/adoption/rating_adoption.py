"""The order in which rating adopts: what it knew, what it rated, what it cut."""

from datetime import UTC, datetime
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import (
    AccountChanged,
    AccountParked,
    ChargesClosed,
    PeriodCut,
    ProductChanged,
    RerateCompleted,
    TariffAccepted,
    TariffPublished,
    ThresholdCrossed,
    UsageRated,
    UsageReceived,
    UsageRejected,
    UsageRerated,
)
from libs.runtime import to_document
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import PublishedReader
from services.rating.adoption.cuts import CutAdoption
from services.rating.adoption.known_then import DirectoryThen
from services.rating.adoption.reratings import ReratingAdoption
from services.rating.adoption.usages import UsageAdoption
from services.rating.charges import ChargeStore
from services.rating.cuts import CutStore
from services.rating.domain.limits import UsageLimits
from services.rating.tariffs import Tariffs

USAGE_GROUP = "rating.rate_usages"


class RatingAdoption:
    """Writes all collections of rating."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase, tariffs: Tariffs, limits: UsageLimits, rate_books: Path) -> None:
        self._store = store
        self._tariffs = tariffs
        self._rate_books = rate_books
        self._directory = DirectoryThen(store)
        self._usages = UsageAdoption(client, store, ChargeStore(client, store), self._directory, limits)
        self._reratings = ReratingAdoption(client, store)
        self._cuts = CutAdoption(CutStore(client, store, self._directory), self._directory)

    async def adopt(self, published: PublishedReader, adopted: Adopted) -> None:
        """Take over everything that rating decided since the backup."""
        await self._adopt_directory(published)
        await self._adopt_tariffs(published, adopted)
        await self._adopt_usages(published, adopted)
        await self._adopt_cuts(published, adopted)
        async for crossings in published.read(ThresholdCrossed):
            crossed = [to_document(crossing.fact) for crossing in crossings]
            await insert_missing(self._store["crossings"], crossed, adopted, "thresholds crossed")
        async for completions in published.read(RerateCompleted):
            answers = [to_document(completion.fact) for completion in completions if not completion.fact.dry_run]
            await insert_missing(self._store["rerating_requests"], answers, adopted, "re-rating requests")

    async def _adopt_directory(self, published: PublishedReader) -> None:
        async for accounts in published.read(AccountChanged):
            await self._directory.remember_accounts(account.fact for account in accounts)
        async for products in published.read(ProductChanged):
            await self._directory.learn(products)

    async def _adopt_tariffs(self, published: PublishedReader, adopted: Adopted) -> None:
        """Books in the order in which they were accepted, each judged as of then."""
        accepted = {book.fact.id: book.fact async for books in published.read(TariffAccepted) for book in books}
        stored = {document["publication_id"] async for document in self._store["tariffs"].find({}, {"publication_id": 1})}
        texts: dict[str, TariffPublished] = {}
        async for publications in published.from_the_beginning().read(TariffPublished):
            texts |= {each.fact.id: each.fact for each in publications if each.fact.id in accepted}
        if accepted.keys() - stored - texts.keys():
            # What was not published was a file.
            await self._tariffs.take_files(self._rate_books, datetime.now(UTC))
        for answer in sorted((accepted[id] for id in texts), key=lambda answer: answer.accepted_at):
            await self._tariffs.take([texts[answer.id]], answer.accepted_at)
            adopted.counts["rate books"] += 1

    async def _adopt_usages(self, published: PublishedReader, adopted: Adopted) -> None:
        books = await self._tariffs.current()
        async for rejected in published.read(UsageRejected):
            await self._usages.adopt_rejected(rejected, adopted)
        async for rated in published.read(UsageRated):
            await self._usages.adopt_rated(rated, books, adopted)
        await self._usages.count_tiers()
        if adopted.counts["usages"]:
            # They may have been received before the backup: from where rating reads again.
            reader = await published.from_committed(USAGE_GROUP)
            async for received in reader.read(UsageReceived):
                await self._usages.adopt_as_received([usage.fact for usage in received])
        async for rerated in published.read(UsageRerated):
            await self._reratings.adopt([usage.fact for usage in rerated], adopted)

    async def _adopt_cuts(self, published: PublishedReader, adopted: Adopted) -> None:
        returned = {parked.fact.id async for some in published.read(AccountParked) for parked in some if parked.fact.is_final}
        ends = {
            cut.fact.id: cut.fact.account_closed_at
            async for some in published.read(PeriodCut)
            for cut in some
            if cut.fact.account_closed_at is not None
        }
        await self._cuts.give_back(returned, datetime.now(UTC))
        books = await self._tariffs.current()
        async for closed in published.read(ChargesClosed):
            await self._cuts.adopt([answer.fact for answer in closed], books, ends, returned, adopted)
