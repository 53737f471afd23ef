"""The fees that earlier cuts of an account charged, as far as the cut of a period depends on them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from libs.contracts import Charge
from libs.periods import MOMENT, Period, month_containing
from libs.pricing import RateBooks
from services.rating.domain.fees.charged_as import ChargedAs, charged_as, is_charged_alike
from services.rating.domain.holdings import Account, Product

# A cut charges fees that no cut has charged, of months up to so long before its period.
CAUGHT_UP_BACK = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class FeeHistory:
    """The stored fees of an account.

    `new_products` are the ids of products that no cut of a cycle has met. `charged_as` has the state by which the last cut of a cycle
    charged each product, and `changed` the present state where fees may have changed since. `charged_ids` are the charges of fees.
    `charges` are the recurring ones and `periods_cut` the cut periods of the cycle, both read only where fees are corrected.
    """

    new_products: Collection[str] = frozenset()
    charged_as: Mapping[str, ChargedAs] = field(default_factory=dict)
    changed: Mapping[str, ChargedAs] = field(default_factory=dict)
    charged_ids: Collection[str] = frozenset()
    charges: Sequence[Charge] = ()
    periods_cut: Sequence[Period] = ()


class ProductsOfPeriod(NamedTuple):
    """A period for which a cut charges fees, and the products whose fees it may lack."""

    period: Period
    products: Sequence[Product]


def uncharged_periods(account: Account, products: Sequence[Product], billed: Period, history: FeeHistory) -> Iterator[ProductsOfPeriod]:
    """Yield the billed period with all products, then the months of the year before it that no cut charged, the latest first.

    A month after the last one that was cut lacks all products, an earlier one only the new products.
    """
    yield ProductsOfPeriod(billed, products)
    new_products = [product for product in products if product.id in history.new_products]
    if not new_products and account.billed_until is not None and account.billed_until >= billed.start:
        return
    for month in months_before(billed, account.time_zone):
        is_passed_over = account.billed_until is not None and account.billed_until <= month.start
        uncharged = products if is_passed_over else new_products
        if any(product.started_at < month.end for product in uncharged):
            yield ProductsOfPeriod(month, uncharged)
        elif not is_passed_over:
            return


def changed_products(
    account: Account, products: Sequence[Product], books: RateBooks, charged: Mapping[str, ChargedAs]
) -> dict[str, ChargedAs]:
    """Return the present states of the products whose fees may have changed since the last cut of a cycle."""
    states = (charged_as(account, product, books) for product in products)
    return {now.product.id: now for now in states if not is_charged_alike(now, charged.get(now.product.id))}


def products_to_correct(account: Account, products: Sequence[Product], billed: Period, history: FeeHistory) -> list[Product]:
    """Return the changed products that have been charged before. A cut of an earlier month than the last one corrects nothing."""
    if is_older(account, billed):
        return []
    return [product for product in products if product.id in history.changed and product.id not in history.new_products]


def is_older(account: Account, billed: Period) -> bool:
    """Return whether a later period was cut before."""
    return account.billed_until is not None and account.billed_until > billed.end


def months_before(period: Period, zone_name: str) -> Iterator[Period]:
    """Yield the calendar months of the year before a period, the latest first. The latest ends where the period starts."""
    month = month_containing(period.start - MOMENT, zone_name)
    while month.start >= period.start - CAUGHT_UP_BACK:
        yield Period(start=month.start, end=min(month.end, period.start))
        month = month_containing(month.start - MOMENT, zone_name)
