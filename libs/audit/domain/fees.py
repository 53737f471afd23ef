"""Fees that a product owes for the time that was billed, computed apart from the cut, beside what was charged for them.

The product is taken as the last cut of its account's cycle knew it, and the rate books as they are. What is missing is told once for each
price, with the time that it is missing for.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.audit.domain.difference import Category, Difference
from libs.periods import MOMENT, Period, local_date
from libs.pricing import RateBooks
from libs.pricing.one_time_price import ChargedAt
from libs.pricing.recurring import fee_of, periods_between
from libs.pricing.recurring_price import Boundary, Charged, RecurringPrice
from libs.pricing.recurring_share import Subscription

REMEDY = "give the account a billingStartDate if it was billed elsewhere then, or charge it by hand; a cut looks a year back"


@dataclass(frozen=True, slots=True)
class BilledAccount:
    """An account whose cycle was cut, for periods that end at `billed_until` at most."""

    id: str
    currency: str
    time_zone: str
    billed_until: datetime
    billed_from: datetime | None = None

    def owes_from(self, at: datetime) -> bool:
        """Return whether what begins at an instant is billed to this account, and was to be billed by now."""
        return at < self.billed_until and (self.billed_from is None or at >= self.billed_from)


@dataclass(frozen=True, slots=True)
class KnownProduct:
    """A product as the last cut knew it. `offerings` are what it had, each until an instant; the last one lasts."""

    id: str
    started_at: datetime
    ended_at: datetime | None
    offerings: Sequence[tuple[str, datetime | None]]
    suspensions: Sequence[tuple[datetime, datetime | None]] = ()


@dataclass(frozen=True, slots=True)
class ChargedFee:
    """A charge of a fee or of its correction."""

    price_id: str
    period: Period
    exact: Fraction


def check_fees(account: BilledAccount, product: KnownProduct, charged: Sequence[ChargedFee], books: RateBooks) -> Iterator[Difference]:
    """Yield the prices for which nothing was charged although the product was active and the fee was due by now, and those that began
    only after the product had the offering, so that its first period costs nothing.
    """
    missing: dict[str, list[Period]] = {}
    for price_id, period in owed_fees(account, product, books):
        paid = sum((fee.exact for fee in charged if fee.price_id == price_id and _overlap(fee.period, period)), Fraction(0))
        if paid <= 0:
            missing.setdefault(price_id, []).append(period)
    for price_id, periods in missing.items():
        days = f"{local_date(periods[0].start, account.time_zone)} to {local_date(periods[-1].end - MOMENT, account.time_zone)}"
        yield Difference(
            category=Category.FEE_NOT_CHARGED,
            id=f"{account.id}|{product.id}|{price_id}",
            expected=f"{len(periods)} charges of {price_id} from {days}: {REMEDY}",
            found="none",
        )
    for price_id, period in _unpriced(account, product, books):
        yield Difference(
            category=Category.FEE_NOT_CHARGED,
            id=f"{account.id}|{product.id}|{price_id}",
            expected=f"a rate book with {price_id} at {period.start.isoformat()}: the product had the offering by then",
            found=f"none before {period.end.isoformat()}",
        )


def _unpriced(account: BilledAccount, product: KnownProduct, books: RateBooks) -> Iterator[tuple[str, Period]]:
    """Yield the fees of an offering that no rate book priced yet when the product got it, and until when."""
    for offering_id, subscription in _subscriptions(product):
        at, until = subscription.start, min(subscription.end or account.billed_until, account.billed_until)
        if not account.owes_from(at) or books.offering(offering_id, at, account.currency, account.time_zone) is not None:
            continue
        for kind in books.recurring_versions(offering_id, account.currency).kinds:
            yield kind.price_id, Period(start=at, end=until)


def owed_fees(account: BilledAccount, product: KnownProduct, books: RateBooks) -> Iterator[tuple[str, Period]]:
    """Yield the price and the time of every fee that was due by now and is not nothing."""
    for offering_id, subscription in _subscriptions(product):
        for kind in books.recurring_versions(offering_id, account.currency).kinds:
            yield from ((kind.price_id, period) for period in _recurring(account, offering_id, subscription, kind, books))
    if account.owes_from(product.started_at):
        yield from _one_time(account, product.offerings[0][0], product.started_at, ChargedAt.ACTIVATION, books)


def _recurring(
    account: BilledAccount, offering_id: str, subscription: Subscription, kind: RecurringPrice, books: RateBooks
) -> Iterator[Period]:
    zone = account.time_zone
    for fee_period in periods_between(kind, subscription, subscription.start, subscription.end or account.billed_until, zone):
        whole = fee_period.lived(zone)
        begins = max(whole.start, subscription.start)
        offering = books.offering(offering_id, begins, account.currency, zone)
        prices = {price.price_id: price for price in offering.recurring_prices} if offering is not None else {}
        price = prices.get(kind.price_id)
        if price is None or price.grid != kind.grid or not account.owes_from(begins):
            continue
        ends = whole.end if subscription.end is None else min(whole.end, subscription.end)
        if price.charged is Charged.ARREARS and ends > account.billed_until:
            continue
        fee = fee_of(price, subscription, fee_period, zone)
        if fee is not None and fee.exact > 0:
            yield fee.period


def _one_time(
    account: BilledAccount, offering_id: str, at: datetime, charged_at: ChargedAt, books: RateBooks
) -> Iterator[tuple[str, Period]]:
    offering = books.offering(offering_id, at, account.currency, account.time_zone)
    for price in offering.one_time_prices if offering is not None else ():
        if price.charged_at is charged_at and price.amount > 0:
            yield price.price_id, Period(start=at, end=at + MOMENT)


def _subscriptions(product: KnownProduct) -> Iterator[tuple[str, Subscription]]:
    """Yield the time with each offering, without those that had none."""
    start, started_by = product.started_at, Boundary.START
    for offering_id, until in product.offerings:
        ends = [end for end in (until, product.ended_at) if end is not None]
        end = min(ends, default=None)
        ended_by = Boundary.CHANGE if until is not None and end == until != product.ended_at else Boundary.END
        if end is None or start < end:
            yield offering_id, Subscription(product.started_at, start, end, started_by, ended_by, tuple(product.suspensions))
        if until is not None and until > start:
            start, started_by = until, Boundary.CHANGE


def _overlap(one: Period, other: Period) -> bool:
    return one.start < other.end and other.start < one.end
