"""One-time fees at a cut: what a product owes once for its activation, and once for its termination."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from libs.contracts import Charge
from libs.periods import MOMENT, Period, first_moment, local_date
from libs.pricing import RateBooks
from libs.pricing.one_time_price import ChargedAt
from services.rating.domain.charge_ids import one_time_charge_id
from services.rating.domain.fee_charges import Asked, fee_charge
from services.rating.domain.holdings import CHARGED, Account, Product
from services.rating.domain.tenures import tenures_of

DAY = timedelta(days=1)
# How late a termination may be heard and still cost its fee.
TERMINATED_BACK = timedelta(days=366)


def one_time_fees(
    account: Account,
    products: Iterable[Product],
    period: Period,
    books: RateBooks,
    now: datetime,
    newcomers: Iterable[Product] = (),
) -> list[Charge]:
    """What falls due in the billed period, whether it was charged before or not, as open charges.

    Of `newcomers`, which no cut has met before, no earlier termination is news.
    """
    unmet = {product.id for product in newcomers}
    return [
        fee_charge(account, product, asked, now)
        for product in products
        for asked in _asked(account, product, period, books, is_met=product.id not in unmet)
    ]


def _asked(account: Account, product: Product, billed: Period, books: RateBooks, *, is_met: bool) -> Iterator[Asked]:
    is_activated = product.started_at in billed and account.bills_from(product.started_at)
    ended_at = product.ended_at if product.ended_at is not None and account.bills_from(product.ended_at) else None
    is_terminated = ended_at is not None and _terminated_in(billed, ended_at, product.changed_at if is_met else None)
    if product.status not in CHARGED or not (is_activated or is_terminated):
        return
    tenures = list(tenures_of(product))
    if not tenures:
        return
    if is_activated:
        yield from _at(ChargedAt.ACTIVATION, product.started_at, tenures[0].offering_id, account, product, books)
    if product.ended_at is not None and is_terminated:
        yield from _at(ChargedAt.TERMINATION, product.ended_at - MOMENT, tenures[-1].offering_id, account, product, books)


def _terminated_in(billed: Period, ended_at: datetime, changed_at: datetime | None) -> bool:
    """Also when it was heard only after the cut of its month: what was known by then was charged by then."""
    if billed.start < ended_at <= billed.end:
        return True
    is_news = changed_at is not None and changed_at >= billed.start
    return is_news and billed.start - TERMINATED_BACK < ended_at <= billed.start


def _at(charged_at: ChargedAt, at: datetime, offering_id: str, account: Account, product: Product, books: RateBooks) -> Iterator[Asked]:
    offering = books.offering(offering_id, at, account.currency, account.time_zone)
    day = local_date(at, account.time_zone)
    period = Period(start=first_moment(day, account.time_zone), end=first_moment(day + DAY, account.time_zone))
    for price in offering.one_time_prices if offering is not None else ():
        if price.charged_at is charged_at:
            id = one_time_charge_id(account.id, product.id, price.price_id, charged_at.value)
            yield Asked(id, offering_id, price, price.description, period, Fraction(price.amount))
