"""The fees that a cut charges: fees owed minus fees charged.

A fee is one price of a product for one period of that price; its charge has an id derived from these. Owed are the fees due with the
billed period, and with months of the year before it that no cut charged. An owed fee without a charge is charged. Where a product or
its books changed since the last cut, the fees charged before are compared with what is owed now, and the difference is a correction.
The results are exact: the cut rounds them.
"""

from collections.abc import Iterator, Sequence

from libs.billing.dates import next_bill
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.recurring import is_due
from services.rating.domain.fees.fee_corrections import corrections
from services.rating.domain.fees.fee_history import FeeHistory, products_to_correct, uncharged_periods
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.one_time_fees import one_time_fees
from services.rating.domain.fees.product_fee import product_fees, refuse_other_currencies
from services.rating.domain.holdings import Account, Product


def fees_to_charge(
    account: Account, products: Sequence[Product], billed: Period, books: RateBooks, history: FeeHistory
) -> list[FeeToCharge]:
    """Return the fees owed with a billed period that no cut has charged, and the corrections of those charged.

    Raises: WrongFeeCurrency
    """
    fees: dict[str, FeeToCharge] = {}
    for period, uncharged in uncharged_periods(account, products, billed, history):
        for product in uncharged:
            for fee in _owed(account, product, period, books, history):
                # What the bill of a month before charges in advance, the billed period itself charges.
                if period == billed or fee.period.start < billed.start:
                    fees.setdefault(fee.id, fee)
    changed = products_to_correct(account, products, billed, history)
    for fee in corrections(account, changed, billed, books, history):
        fees.setdefault(fee.id, fee)
    return list(fees.values())


def _owed(account: Account, product: Product, period: Period, books: RateBooks, history: FeeHistory) -> Iterator[FeeToCharge]:
    """Yield the fees due with one period that have no charge."""
    refuse_other_currencies(account, product, books, period)
    zone, until = account.time_zone, next_bill(period, account.time_zone)
    for fee in product_fees(account, product, books, period.start, until):
        if fee.id in history.charged_ids or not is_due(fee.price, fee.tenure.subscription, fee.fee_period, period, until, zone):
            continue
        owed = fee.owed(zone)
        if owed is not None:
            yield owed
    for one_time in one_time_fees(account, product, period, books, is_new=product.id in history.new_products):
        if one_time.id not in history.charged_ids:
            yield one_time
