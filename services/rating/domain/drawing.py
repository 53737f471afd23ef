"""Drawing: what the allowances of a batch's products pay of its usages, one after the other in their order.

plan = plan_draws(rated, books)                          # which buckets may be drawn from; mostly none
drawn = draw_allowances(rated, plan, await buckets.find(plan.bucket_ids))
...                                                      # drawn.rated instead of rated; drawn.changes into the transaction

A bucket that is not there is granted by the first usage of its period. Two workers may draw from one bucket: each change says
which version it was made of, and of two made of the same one is refused (see services/rating/buckets.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from libs.contracts.derived_ids import joined_id
from libs.pricing import CompiledPrice, RateBooks
from libs.pricing.allowance import Allowance, Bucket, Shared
from libs.pricing.allowance_payment import pay
from libs.pricing.allowance_sources import NO_SOURCES, Holder, Source, Sources, find_sources
from libs.pricing.rate_book import Offering
from services.rating.domain.deciding import Rated
from services.rating.domain.holdings import Account, Product


@dataclass(frozen=True, slots=True)
class StoredBucket:
    """A bucket as it was read."""

    bucket: Bucket
    version: int


@dataclass(frozen=True, slots=True)
class BucketOwner:
    """The owner of a bucket: a product, an account or a group. `account_id` is the account of the usage that opened it."""

    shared: Shared
    id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class BucketChange:
    """A bucket as a batch leaves it, made of the `version` that was read; None for one that was not there."""

    bucket: Bucket
    source: Source
    owner: BucketOwner
    version: int | None


@dataclass(slots=True)
class DrawPlan:
    """The usages, by their place in the batch, that may draw, and from where, for each of their parts."""

    sources: dict[int, tuple[Sources, ...]] = field(default_factory=dict)
    bucket_ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The usages in their order with what is left to pay of each, and the buckets that changed."""

    rated: list[Rated]
    changes: list[BucketChange]


def plan_draws(rated: Sequence[Rated], books: RateBooks) -> DrawPlan:
    """Find out which usages may draw from which buckets."""
    plan = DrawPlan()
    finder = _SourceFinder(books)
    for position, each in enumerate(rated):
        price = each.priced.price
        if each.others:
            sources = tuple(finder.find(each, part.price) for part in each.priced.parts)
        elif price in finder.without:
            continue
        else:
            sources = (finder.find(each, price),)
        called_number = each.usage.called_number
        ids = [
            source.bucket_id
            for of_part in sources
            for source in of_part.all
            if not of_part.is_selective or source.allowance.covers.reaches(called_number)
        ]
        if ids:
            plan.sources[position] = sources
            plan.bucket_ids.update(ids)
    return plan


def draw_allowances(rated: Sequence[Rated], plan: DrawPlan, stored: Mapping[str, StoredBucket]) -> Drawn:
    """Let each usage draw in its turn from what those before it left."""
    paid = list(rated)
    buckets = {id: found.bucket for id, found in stored.items()}
    changes: dict[str, tuple[Source, BucketOwner]] = {}
    for position, sources in plan.sources.items():
        each = paid[position]
        payment = pay(each.priced, sources, buckets, each.usage.called_number)
        if not payment.takes:
            continue
        paid[position] = replace(each, priced=payment.priced, allowances=payment.uses)
        buckets.update(payment.buckets)
        for take in payment.takes:
            if take.source.bucket_id not in changes:
                changes[take.source.bucket_id] = take.source, _owner(take.source.allowance, each.charge.product, each.charge.account)
    return Drawn(
        paid,
        [BucketChange(buckets[id], source, owner, stored[id].version if id in stored else None) for id, (source, owner) in changes.items()],
    )


class _SourceFinder:
    """Finds sources once for each price and period, and names their buckets once for each product."""

    def __init__(self, books: RateBooks) -> None:
        self._books = books
        self._known: dict[tuple[str, CompiledPrice, CompiledPrice], Sources] = {}
        self._nameless: dict[tuple[CompiledPrice, CompiledPrice, str, int], dict[datetime, Sources]] = {}
        # Prices that no allowance covers: those of most usages.
        self.without: set[CompiledPrice] = set()

    def find(self, rated: Rated, price: CompiledPrice) -> Sources:
        """Return the allowances from which a part of a usage may draw."""
        # The price of the first part stands for the book that held when the usage started.
        first, product, at = rated.priced.price, rated.charge.product, rated.usage.started_at
        place = (product.id, first, price)
        sources = self._known.get(place)
        if sources is None or not sources.start <= at < sources.end:
            account = rated.charge.account
            offering = self._books.offering(product.offering_id, at, account.currency, account.time_zone)
            if offering is None or not any(allowance.covers_price(price) for allowance in offering.allowances):
                if price is first:
                    self.without.add(price)
                return NO_SOURCES
            nameless = self._find_nameless(offering, product, account, (first, price), at)
            sources = self._known[place] = nameless.named(lambda source: _bucket_id_of(source, product, account))
        return sources

    def _find_nameless(
        self, offering: Offering, product: Product, account: Account, prices: tuple[CompiledPrice, CompiledPrice], at: datetime
    ) -> Sources:
        """The sources of this product, or of another one that has the same."""
        granted_by = self._books.offering(product.offering_id, product.started_at, account.currency, account.time_zone)
        by_start = self._nameless.setdefault((*prices, account.time_zone, id(granted_by)), {})
        for sources in by_start.values():
            if sources.start <= at < sources.end and product.started_at <= sources.same_since:
                return sources

        def terms_at(allowance_id: str, then: datetime) -> Allowance | None:
            offered = self._books.offering(product.offering_id, then, account.currency, account.time_zone)
            allowances = offered.allowances if offered is not None else ()
            return next((allowance for allowance in allowances if allowance.id == allowance_id), None)

        holder = Holder(product.started_at, account.time_zone, terms_at, lambda allowance, period: "")
        sources = find_sources(offering.allowances, prices[1], holder, at)
        known = by_start.get(sources.start)
        if known is None or known.same_since <= sources.same_since:
            by_start[sources.start] = sources
        return sources


def _owner(allowance: Allowance, product: Product, account: Account) -> BucketOwner:
    if allowance.shared is Shared.PRODUCT:
        return BucketOwner(allowance.shared, product.id, account.id)
    if allowance.shared is Shared.GROUP and product.group_id is not None:
        return BucketOwner(allowance.shared, product.group_id, account.id)
    # A product of no group shares with those of its account.
    return BucketOwner(Shared.ACCOUNT, account.id, account.id)


def _bucket_id_of(source: Source, product: Product, account: Account) -> str:
    return bucket_id(_owner(source.allowance, product, account), product.offering_id, source.allowance, source.period.label)


def bucket_id(owner: BucketOwner, offering_id: str, allowance: Allowance, period_label: str) -> str:
    """Derived from owner, allowance, unit and the first day of its period. A product's own is its offering's: another brings another."""
    offered = (offering_id,) if owner.shared is Shared.PRODUCT else ()
    return joined_id(owner.shared.value, owner.id, *offered, allowance.id, allowance.unit, period_label)
