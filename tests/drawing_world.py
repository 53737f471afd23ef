"""Customers whose usage draws from allowances, in memory: rate books as text, usages in batches, and the buckets they leave."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.contracts import UsageReceived
from libs.pricing import RateBooks
from services.rating.domain.deciding import Rated, Rater, decide
from services.rating.domain.drawing import Drawn, StoredBucket, draw_allowances, plan_draws
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.books import read_book
from tests.usages import usage_of

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2028, 1, 1, tzinfo=UTC)
LIMITS = UsageLimits(timedelta(days=1), timedelta(days=4_000))
LINE = "+34600000001"


@dataclass
class DrawingWorld:
    """Products by the number they hold; `stored` are the buckets as a database would keep them."""

    books: RateBooks
    products: dict[str, Product]
    zone: str = "Europe/Madrid"
    currency: str = "EUR"
    stored: dict[str, StoredBucket] = field(default_factory=dict)

    @classmethod
    def of(cls, *books: str, products: Iterable[tuple[str, Product]] | None = None, **settings: Any) -> "DrawingWorld":
        """Books as YAML; one product of the offering `basic` unless others are named."""
        held = {LINE: product("line")} if products is None else dict(products)
        return cls(RateBooks([read_book(text, f"{place}.yaml") for place, text in enumerate(books)]), held, **settings)

    def rate(self, *usages: UsageReceived) -> list[Rated]:
        """Rate usages as one batch."""
        drawn = self.draw(*usages)
        self.store(drawn)
        return drawn.rated

    def draw(self, *usages: UsageReceived) -> Drawn:
        """What a worker would make of a batch, not stored yet."""
        tenures = {number: (Holding.of(held, held.started_at, None),) for number, held in self.products.items()}
        payers = {held.account_id for held in self.products.values()}
        accounts = {id: Account(id, self.currency, self.zone) for id in payers}
        decisions = decide(usages, {}, Rater(Holdings(tenures, accounts), self.books, LIMITS, NOW))
        assert not decisions.rejected, decisions.rejected
        plan = plan_draws(decisions.rated, self.books)
        return draw_allowances(decisions.rated, plan, {id: self.stored[id] for id in plan.bucket_ids if id in self.stored})

    def store(self, drawn: Drawn) -> None:
        """Keep what a worker drew; it must have drawn from what is stored."""
        for change in drawn.changes:
            there = self.stored.get(change.bucket.id)
            assert change.version == (None if there is None else there.version)
            self.stored[change.bucket.id] = StoredBucket(change.bucket, 0 if there is None else there.version + 1)

    def left(self) -> dict[str, Fraction]:
        """What is left in each bucket for usage of its own period."""
        return {id: Fraction(found.bucket.left(), found.bucket.denominator) for id, found in self.stored.items()}


def product(
    id: str, *, account: str = "ada", offering: str = "basic", started_at: datetime = LONG_AGO, group: str | None = None
) -> Product:
    """An active product."""
    return Product(id, account, offering, offering, "active", started_at, group_id=group)


def book(allowances: str, prices: str, *, id: str = "book", effective_from: str = "2020-01-01", more: str = "") -> str:
    """A rate book of the offering `basic` from the texts of its lists."""
    return (
        f"id: {id}\neffective_from: {effective_from}\ncurrency: EUR\n{more}offerings:\n  basic:\n"
        f"    usage_prices:\n{_indented(prices)}    allowances:\n{_indented(allowances)}"
    )


def _indented(text: str) -> str:
    return "".join(f"      {line}\n" for line in text.strip("\n").splitlines())


def usage(id: str, quantity: Any, at: str = "2026-03-02T10:00:00+01:00", *, unit: str = "s", kind: str = "voice", **fields: Any) -> Any:
    """A usage of the one line, a call unless said otherwise."""
    body = {"identifier": LINE, "usage_type": kind, "unit": unit, "started_at": at, "quantity": Decimal(str(quantity))}
    return usage_of(id=id, **{**body, **fields})


def taken(rated: Rated) -> dict[str, Fraction]:
    """What a usage took, by bucket."""
    return {use.bucket_id: Fraction(use.quantity) / use.denominator for use in rated.allowances}


def to_pay(rated: Rated) -> Fraction:
    """What is left to pay of a usage."""
    return sum((Fraction(part.numerator, part.denominator) for part in rated.priced.parts), Fraction(0))
