"""Fees that no cut will ever charge: they ended before the first month that a cut looks back to, and no cut has charged them.

They are those of products that cuts meet late, or of months that no run was made for. The cut that is the first to look past them tells.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from libs.contracts import UnchargedFee
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.recurring import Fee
from services.rating.domain.holdings import Account, Product
from services.rating.domain.product_fees import product_fees

# Of an account: thirty years of three monthly fees. A first cut of many accounts must not take minutes for what it only tells.
FEES_LOOKED_AT_MAX = 1_000
PRICES_TOLD_MAX = 20


class FeeOutOfReach(NamedTuple):
    """A fee that was due; `id` is that of the charge that there would be."""

    id: str
    product_id: str
    fee: Fee


def fees_out_of_reach(
    account: Account, since: Iterable[tuple[Product, datetime]], reach: datetime, books: RateBooks
) -> list[FeeOutOfReach]:
    """Return the fees of products that ended between an instant of each product and `reach`, some of them where there are very many."""
    return list(islice(_fees(account, since, reach, books), FEES_LOOKED_AT_MAX))


def told(fees: Iterable[FeeOutOfReach], charged: Mapping[str, object]) -> tuple[UnchargedFee, ...]:
    """Return what to tell of those that are not charged: once for each product and price."""
    periods: dict[tuple[str, str], list[Period]] = {}
    for id, product_id, fee in fees:
        if id not in charged:
            periods.setdefault((product_id, fee.price.price_id), []).append(fee.period)
    return tuple(
        UnchargedFee(
            product_id=product_id,
            price_id=price_id,
            period=Period(start=min(period.start for period in each), end=max(period.end for period in each)),
            period_count=len(each),
        )
        for (product_id, price_id), each in islice(periods.items(), PRICES_TOLD_MAX)
    )


def _fees(account: Account, since: Iterable[tuple[Product, datetime]], reach: datetime, books: RateBooks) -> Iterator[FeeOutOfReach]:
    for product, at in since:
        for each in product_fees(account, product, books, at, reach):
            fee = each.owed(account.time_zone) if at < each.whole.end <= reach else None
            if fee is not None and fee.exact > 0:
                yield FeeOutOfReach(each.id, product.id, fee)
