"""The time from which the charges of an account matter to the fees of a cut, so that the store reads no more of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from libs.periods import Period
from libs.pricing import RateBooks
from services.rating.domain.fees.fee_corrections import COMPARED_BACK
from services.rating.domain.fees.fee_history import FeeHistory, products_to_correct, uncharged_periods
from services.rating.domain.fees.one_time_fees import DAY, TERMINATED_BACK
from services.rating.domain.holdings import Account, Product

DAYS_OF_A_MONTH_MAX = 31


class FeeReach(NamedTuple):
    """Charges of fees matter that end after these instants. `is_deep` tells that fees may be corrected."""

    recurring_since: datetime
    one_time_since: datetime
    is_deep: bool


def fee_reach(account: Account, products: Sequence[Product], billed: Period, books: RateBooks, history: FeeHistory) -> FeeReach:
    """Return how far back the fees of a billed period depend on charges.

    The charge of a fee may end long before the fee's period does, where the product ended. It never ends before that period starts.
    """
    starts = [period.start for period, _ in uncharged_periods(account, products, billed, history)]
    # Of months before the year, fees are reported that no cut charged.
    first = min([*starts, account.billed_until or billed.start])
    # A product without the mark of a cut may have been charged before there were marks.
    is_deep = bool(history.new_products or products_to_correct(account, products, billed, history))
    recurring_since = min(first, billed.start - COMPARED_BACK) if is_deep else first
    return FeeReach(recurring_since - _longest(account, products, books), first - TERMINATED_BACK - DAY, is_deep)


def _longest(account: Account, products: Sequence[Product], books: RateBooks) -> timedelta:
    """Return the length of the longest period of a fee."""
    offering_ids = {product.offering_id for product in products}
    offering_ids |= {former.offering_id for product in products for former in product.former_offerings}
    kinds = (kind for id in offering_ids for kind in books.recurring_versions(id, account.currency).kinds)
    return max((timedelta(days=kind.grid.days + DAYS_OF_A_MONTH_MAX * kind.grid.months) for kind in kinds), default=timedelta(0))
