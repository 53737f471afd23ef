"""Composition root of rating."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import Field

from libs.periods import to_utc_milliseconds
from libs.pricing import load_rate_books
from libs.pricing.intake import Intake
from libs.runtime import Service, usage_settings
from services.rating import buckets, crossings, cuts, directory, rerating, store, tariffs
from services.rating.adoption import RatingAdoption
from services.rating.arrivals import Arrivals
from services.rating.buckets import BucketStore
from services.rating.charges import ChargeStore
from services.rating.crossings import CrossingStore
from services.rating.cuts import CutStore
from services.rating.directory import Directory
from services.rating.domain.limits import UsageLimits
from services.rating.handlers import (
    RatingTerms,
    cut_periods,
    discard_suspended,
    mark_charges_billed,
    preview_charges,
    publish_tariffs,
    rate_usages,
    remember_accounts,
    remember_products,
    rerate_usages,
    retry_suspended,
    return_charges,
)
from services.rating.rerating import ReratingStore
from services.rating.store import UsageStore
from services.rating.suspense import SuspenseStore
from services.rating.tariffs import Tariffs

CUT_BATCH_SIZE = 500
# A client waits for each, and a batch answers when its last is decided.
PREVIEW_BATCH_SIZE = 20
# While MongoDB stores the batch of one, Python prices that of the other; a third finds both of them busy.
USAGE_CONSUMERS = 2


class RatingSettings(usage_settings.UsageSettings):
    """Besides the shared ones: where the rate books are, how much is rated at a time, and which usage is believed."""

    http_port: int = Field(8097, validation_alias="RATING_PORT")
    rate_books_dir: Path = Path("deploy/rate-books")
    rating_batch_size: int = Field(10_000, gt=0, le=20_000, description="Usages per transaction")
    usage_future_tolerance_s: int = Field(3_600, ge=0, description="How far ahead of our clock a usage may start")
    usage_age_days_max: int = Field(1_830, gt=0, description="How long ago a usage may have started")


def build(settings: RatingSettings) -> Service:
    """The service with its handlers bound to its stores. Raises RateBookInvalid, or ValueError for a setting that cannot be."""
    load_rate_books(settings.rate_books_dir)
    intake = Intake.of(settings.usage_numbers_country, settings.usage_limits, settings.usage_limits_by_unit)
    limits = UsageLimits(timedelta(seconds=settings.usage_future_tolerance_s), timedelta(days=settings.usage_age_days_max), intake)
    service = Service(
        "rating",
        settings,
        indexes=(
            *store.INDEXES,
            *directory.INDEXES,
            *cuts.INDEXES,
            *buckets.INDEXES,
            *crossings.INDEXES,
            *tariffs.INDEXES,
            *rerating.INDEXES,
        ),
    )
    charges = ChargeStore(service.client, service.database)
    holdings = Directory(service.database)
    bucket_store = BucketStore(service.database)
    usages = UsageStore(service.client, service.database, charges, bucket_store, intake.numbers)
    suspense = SuspenseStore(service.client, service.database, charges, bucket_store, intake.numbers)
    crossing_store = CrossingStore(service.database, limits.future_tolerance)
    cut_store = CutStore(service.client, service.database, holdings)
    books = Tariffs(service.client, service.database)
    terms = RatingTerms(books, limits)
    arrivals = Arrivals(suspense, holdings, books, limits)

    async def take_files() -> None:
        now = to_utc_milliseconds(datetime.now(UTC))
        accepted = await books.take_files(settings.rate_books_dir, now)
        await service.publish([*accepted, *await arrivals.of_books([answer for answer in accepted if answer.accepted_at == now])])

    service.adopt(RatingAdoption(service.client, service.database, books, limits, settings.rate_books_dir).adopt)
    service.prepare(take_files)
    service.subscribe(
        partial(
            rate_usages,
            store=usages,
            charges=charges,
            buckets=bucket_store,
            crossings=crossing_store,
            directory=holdings,
            arrivals=arrivals,
            terms=terms,
        ),
        batch_size=settings.rating_batch_size,
        consumers=USAGE_CONSUMERS,
        takes_malformed=True,
    )
    service.subscribe(
        partial(
            retry_suspended,
            suspense=suspense,
            store=usages,
            charges=charges,
            buckets=bucket_store,
            crossings=crossing_store,
            directory=holdings,
            arrivals=arrivals,
            terms=terms,
        )
    )
    service.subscribe(partial(discard_suspended, suspense=suspense))
    reratings = ReratingStore(service.client, service.database, charges, holdings)
    service.subscribe(partial(rerate_usages, reratings=reratings, terms=terms))
    service.subscribe(partial(remember_accounts, directory=holdings, arrivals=arrivals))
    service.subscribe(partial(remember_products, directory=holdings, arrivals=arrivals))
    service.subscribe(partial(publish_tariffs, tariffs=books, arrivals=arrivals))
    service.subscribe(partial(cut_periods, cuts=cut_store, books=books), batch_size=CUT_BATCH_SIZE)
    service.subscribe(partial(preview_charges, cuts=cut_store, books=books), batch_size=PREVIEW_BATCH_SIZE)
    service.subscribe(partial(return_charges, cuts=cut_store))
    service.subscribe(partial(mark_charges_billed, charges=charges))
    return service
