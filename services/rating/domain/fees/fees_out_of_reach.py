"""Fees that no cut will ever charge: they ended before the first month that a cut looks back to, and no cut has charged them.

They are those of products that cuts meet late, or of months that no run was made for. The first cut that looks past them reports them.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice

from libs.contracts import UnchargedFee
from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.fees.fee_history import CAUGHT_UP_BACK, FeeHistory, months_before
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.product_fee import product_fees
from services.rating.domain.holdings import Account, Product

# Of an account: thirty years of three monthly fees. A first cut of many accounts must not take minutes for what it only reports.
FEES_LOOKED_AT_MAX = 1_000
PRICES_REPORTED_MAX = 20


def fees_out_of_reach(
    account: Account, products: Sequence[Product], billed: Period, books: RateBooks, history: FeeHistory
) -> tuple[UnchargedFee, ...]:
    """Return the fees that are too old for a cut to charge them, one for each product and price, some where there are very many."""
    since = ((product, _unpaid_since(account, product, billed, history)) for product in products)
    old = [(product, at) for product, at in since if at < billed.start - CAUGHT_UP_BACK]
    if not old:
        return ()
    *_, first_month = (billed, *months_before(billed, account.time_zone))
    fees = islice((fee for product, at in old for fee in _fees(account, product, books, at, first_month.start)), FEES_LOOKED_AT_MAX)
    periods: dict[tuple[str, str], list[Period]] = {}
    for fee in fees:
        if fee.id not in history.charged_ids:
            periods.setdefault((fee.product.id, fee.terms.price_id), []).append(fee.period)
    return tuple(
        UnchargedFee(
            product_id=product_id,
            price_id=price_id,
            period=Period(start=min(period.start for period in each), end=max(period.end for period in each)),
            period_count=len(each),
        )
        for (product_id, price_id), each in islice(periods.items(), PRICES_REPORTED_MAX)
    )


def _unpaid_since(account: Account, product: Product, billed: Period, history: FeeHistory) -> datetime:
    """Return from when on no cut charged a product's fees. Of a product that was met, but nobody knows until when, from now on."""
    if product.id in history.new_products:
        return product.started_at
    return max(product.started_at, account.billed_until or billed.start)


def _fees(account: Account, product: Product, books: RateBooks, since: datetime, until: datetime) -> Iterator[FeeToCharge]:
    for fee in product_fees(account, product, books, since, until):
        owed = fee.owed(account.time_zone) if since < fee.whole.end <= until else None
        if owed is not None and owed.exact > 0:
            yield owed
