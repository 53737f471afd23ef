"""Recurring fees of a period: one charge per product and price, prorated by calendar day where the product was not
active throughout. The fraction stays exact until the cut rounds it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeKind, ProductStatus
from libs.periods import Period, time_zone
from libs.pricing import RateBooks, RecurringPrice
from services.rating.domain.charge_ids import recurring_charge_id
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import label_of

CHARGED = frozenset({ProductStatus.ACTIVE, ProductStatus.SUSPENDED, ProductStatus.PENDING_TERMINATE, ProductStatus.TERMINATED})
_MOMENT = timedelta(milliseconds=1)


class WrongFeeCurrency(ValueError):
    """A fee is in another currency than the account; the text says which."""


@dataclass(frozen=True, slots=True)
class _Share:
    """The part of a period in which a product was active, in whole local days."""

    period: Period
    days: int
    days_of_period: int

    @property
    def is_whole(self) -> bool:
        return self.days == self.days_of_period


def recurring_fees(account: Account, products: Iterable[Product], period: Period, books: RateBooks, now: datetime) -> list[Charge]:
    """The fees of a period, as open charges. Raises WrongFeeCurrency."""
    return list(_fees(account, products, period, books, now))


def ending_with(closed_at: datetime, products: Iterable[Product]) -> list[Product]:
    """The products of an account that was closed: those without an end of their own end with it."""
    return [replace(product, ended_at=closed_at) if product.ended_at is None else product for product in products]


def _fees(account: Account, products: Iterable[Product], period: Period, books: RateBooks, now: datetime) -> Iterator[Charge]:
    label = label_of(period, account.time_zone)
    for product in products:
        share = _active_share(product, period, account.time_zone)
        if share is None:
            continue
        for price in books.recurring_prices(product.offering_id, share.period.start):
            if price.currency != account.currency:
                raise WrongFeeCurrency(
                    f"price {price.price_id} of product {product.id} is in {price.currency}, account {account.id} in {account.currency}: "
                    f"give the product an offering priced in {account.currency}"
                )
            yield _fee(account, product, price, share, label, now)


def _fee(account: Account, product: Product, price: RecurringPrice, share: _Share, label: str, now: datetime) -> Charge:
    exact = Fraction(price.amount) * Fraction(share.days, share.days_of_period)
    description = price.description if share.is_whole else f"{price.description} ({share.days} of {share.days_of_period} days)"
    return Charge(
        id=recurring_charge_id(account.id, product.id, price.price_id, label),
        account_id=account.id,
        product_id=product.id,
        product_name=product.name,
        offering_id=product.offering_id,
        price_id=price.price_id,
        kind=ChargeKind.RECURRING,
        description=description,
        currency=price.currency,
        period=share.period,
        sequence=0,
        quantity=Decimal(1),
        sums={str(exact.denominator): Decimal(exact.numerator)},
        tax_category=price.tax_category,
        opened_at=now,
        updated_at=now,
    )


def _active_share(product: Product, period: Period, zone_name: str) -> _Share | None:
    if product.status not in CHARGED:
        return None
    start = max(product.started_at, period.start)
    end = period.end if product.ended_at is None else min(product.ended_at, period.end)
    if start >= end:
        return None
    first, last = _local_day(start, zone_name), _local_day(end - _MOMENT, zone_name)
    days_of_period = (_local_day(period.end - _MOMENT, zone_name) - _local_day(period.start, zone_name)).days + 1
    days = (last - first).days + 1
    active = (
        period if days == days_of_period else Period(start=_midnight(first, zone_name), end=_midnight(last + timedelta(days=1), zone_name))
    )
    return _Share(active, days, days_of_period)


def _local_day(instant: datetime, zone_name: str) -> date:
    return instant.astimezone(time_zone(zone_name)).date()


def _midnight(day: date, zone_name: str) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=time_zone(zone_name))
