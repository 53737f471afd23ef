"""Recurring fees at a cut: one charge for each product, price and period of it, prorated where the product was not active throughout.

What falls due is charged once, in advance of its period or after it. Where a product or its books are known otherwise than to the last
cut, what was charged is corrected. Fractions stay exact until the cut rounds them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from fractions import Fraction

from libs.billing.dates import next_bill
from libs.contracts import Charge
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.recurring import is_due
from services.rating.domain.fee_charges import fee_charge
from services.rating.domain.fee_corrections import Reckoning, corrections, fees_looked_at
from services.rating.domain.holdings import Account, Product
from services.rating.domain.product_fees import ProductFee, asked_for, product_fees, refuse_other_currencies

NOTHING_CHARGED: Mapping[str, Fraction] = {}
NOTHING_NEW: Mapping[str, Reckoning] = {}


def recurring_fees(
    account: Account,
    products: Iterable[Product],
    period: Period,
    books: RateBooks,
    now: datetime,
    charged: Mapping[str, Fraction] = NOTHING_CHARGED,
    reckonings: Mapping[str, Reckoning] = NOTHING_NEW,
) -> list[Charge]:
    """The fees that fall due with the bill of a period, and the corrections of earlier ones, as open charges. Raises WrongFeeCurrency.

    `charged` has those of `fee_ids` that are charged already: none of them comes again. `reckonings` are of the products to correct.
    """
    charges = []
    for product in products:
        for fee in _due(account, product, period, books):
            owed = fee.owed(account.time_zone) if fee.id not in charged else None
            if owed is not None:
                charges.append(fee_charge(account, product, asked_for(fee, owed), now))
        if product.id in reckonings:
            correcting = corrections(account, product, period, books, charged, reckonings[product.id])
            charges += [fee_charge(account, product, asked, now) for asked in correcting]
    return charges


def fee_ids(
    account: Account, products: Iterable[Product], period: Period, books: RateBooks, reckonings: Mapping[str, Reckoning] = NOTHING_NEW
) -> list[str]:
    """The charges of fees that the cut of a period makes, unless they are there. Raises WrongFeeCurrency."""
    ids: dict[str, None] = {}
    for product in products:
        ids |= {fee.id: None for fee in _due(account, product, period, books)}
        if product.id in reckonings:
            ids |= dict.fromkeys(fees_looked_at(account, product, period, books))
    return list(ids)


def ending_with(closed_at: datetime, products: Iterable[Product]) -> list[Product]:
    """The products of an account that was closed: those without an end of their own end with it."""
    return [replace(product, ended_at=closed_at) if product.ended_at is None else product for product in products]


def _due(account: Account, product: Product, billed: Period, books: RateBooks) -> Iterator[ProductFee]:
    refuse_other_currencies(account, product, books, billed)
    zone, until = account.time_zone, next_bill(billed, account.time_zone)
    for fee in product_fees(account, product, books, billed.start, until):
        if is_due(fee.price, fee.tenure.subscription, fee.fee_period, billed, until, zone):
            yield fee
