"""One-time fees: a product owes one for its activation and one for its termination, each once."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction

from libs.periods import MOMENT, Period, first_moment, local_date
from libs.pricing import RateBooks
from libs.pricing.one_time_price import ChargedAt
from services.rating.domain.charge_ids import one_time_charge_id
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.tenure import tenures_of
from services.rating.domain.holdings import CHARGED, Account, Product

DAY = timedelta(days=1)
# How long after a termination a late notice of it still costs its fee.
TERMINATED_BACK = timedelta(days=366)


def one_time_fees(account: Account, product: Product, billed: Period, books: RateBooks, *, is_new: bool = False) -> Iterator[FeeToCharge]:
    """Yield the one-time fees that fall due in the billed period. An earlier termination of a new product is not charged."""
    is_activated = product.started_at in billed and account.bills_from(product.started_at)
    ended_at = product.ended_at if product.ended_at is not None and account.bills_from(product.ended_at) else None
    is_terminated = ended_at is not None and _terminated_in(billed, ended_at, None if is_new else product.changed_at)
    if product.status not in CHARGED or not (is_activated or is_terminated):
        return
    tenures = list(tenures_of(product))
    if not tenures:
        return
    if is_activated:
        yield from _fees_at(ChargedAt.ACTIVATION, product.started_at, tenures[0].offering_id, account, product, books)
    if ended_at is not None and is_terminated:
        yield from _fees_at(ChargedAt.TERMINATION, ended_at - MOMENT, tenures[-1].offering_id, account, product, books)


def _terminated_in(billed: Period, ended_at: datetime, changed_at: datetime | None) -> bool:
    """Return whether a termination is of the billed period, or became known only after the cut of its own month."""
    if billed.start < ended_at <= billed.end:
        return True
    is_late = changed_at is not None and changed_at >= billed.start
    return is_late and billed.start - TERMINATED_BACK < ended_at <= billed.start


def _fees_at(
    charged_at: ChargedAt, at: datetime, offering_id: str, account: Account, product: Product, books: RateBooks
) -> Iterator[FeeToCharge]:
    offering = books.offering(offering_id, at, account.currency, account.time_zone)
    day = local_date(at, account.time_zone)
    period = Period(start=first_moment(day, account.time_zone), end=first_moment(day + DAY, account.time_zone))
    for price in offering.one_time_prices if offering is not None else ():
        if price.charged_at is charged_at:
            id = one_time_charge_id(account.id, product.id, price.price_id, charged_at.value)
            yield FeeToCharge(id, product, offering_id, price, price.description, period, Fraction(price.amount))
