"""The recurring fees of a product, by its present state and the books: one for each price and each period of that price."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from libs.periods import MOMENT, Period, month_containing
from libs.pricing import RateBooks, RecurringPrice
from libs.pricing.recurring import fee_of, periods_between
from libs.pricing.recurring_period import FeePeriod
from libs.pricing.recurring_price import Charged
from services.rating.domain.charge_ids import recurring_charge_id
from services.rating.domain.fees.fee_to_charge import FeeToCharge
from services.rating.domain.fees.tenure import Tenure, tenures_of
from services.rating.domain.holdings import CHARGED, Account, Product
from services.rating.domain.months import label_of


class WrongFeeCurrency(ValueError):
    """A fee is in another currency than the account. The text says which."""


@dataclass(frozen=True, slots=True)
class ProductFee:
    """A fee for one period. `id` is that of its charge, `whole` the period in the account's time zone."""

    id: str
    product: Product
    tenure: Tenure
    price: RecurringPrice
    fee_period: FeePeriod
    whole: Period

    def owed(self, zone_name: str) -> FeeToCharge | None:
        """Return the amount that is due for the period, or None when nothing is."""
        fee = fee_of(self.price, self.tenure.subscription, self.fee_period, zone_name)
        if fee is None:
            return None
        return FeeToCharge(
            self.id, self.product, self.tenure.offering_id, self.price, fee.description, fee.period, fee.exact, share=fee.told
        )

    def charged_in(self, zone_name: str) -> tuple[str, str]:
        """Return the labels of the first and the last month whose cut may charge the fee. Later cuts have passed it over."""
        begins_in = month_containing(self.whole.start, zone_name)
        last = month_containing(self.whole.end - MOMENT, zone_name)
        if self.price.charged is Charged.ADVANCE:
            first = month_containing(begins_in.start - MOMENT, zone_name)
        else:
            end = self.tenure.subscription.end
            first = last if end is None or end >= self.whole.end else month_containing(max(end - MOMENT, self.whole.start), zone_name)
        return label_of(first, zone_name), label_of(last, zone_name)


def product_fees(account: Account, product: Product, books: RateBooks, start: datetime, end: datetime) -> Iterator[ProductFee]:
    """Yield the fees whose periods have a day between two instants."""
    if product.status not in CHARGED:
        return
    zone = account.time_zone
    for tenure in tenures_of(product):
        begins = tenure.subscription.start
        for kind in books.recurring_versions(tenure.offering_id, account.currency).kinds:
            for fee_period in periods_between(kind, tenure.subscription, start, end, zone):
                whole = fee_period.lived(zone)
                if not account.bills_from(max(whole.start, begins)):
                    continue
                price = _price_of_period(account, tenure, kind, whole, books)
                if price is not None:
                    label = f"{fee_period.first}.{tenure.number}" if tenure.number else str(fee_period.first)
                    id = recurring_charge_id(account.id, product.id, price.price_id, label)
                    yield ProductFee(id, product, tenure, price, fee_period, whole)


def refuse_other_currencies(account: Account, product: Product, books: RateBooks, billed: Period) -> None:
    """Check that an offering that is priced for the billed period has fees in the account's currency.

    Raises: WrongFeeCurrency
    """
    for tenure in tenures_of(product) if product.status in CHARGED else ():
        at = max(billed.start, tenure.subscription.start)
        if not tenure.subscription.lasts_into(billed):
            continue
        if books.offering(tenure.offering_id, at, account.currency, account.time_zone) is not None:
            continue
        for price in books.recurring_prices(tenure.offering_id, at, None, account.time_zone):
            raise WrongFeeCurrency(
                f"price {price.price_id} of product {product.id} is in {price.currency}, account {account.id} in "
                f"{account.currency}: give the product an offering priced in {account.currency}"
            )


def _price_of_period(account: Account, tenure: Tenure, kind: RecurringPrice, whole: Period, books: RateBooks) -> RecurringPrice | None:
    """Return the price that stands where the product's part of the period begins: at the purchase for the first period.

    None when there was no such price then, or one with other periods.
    """
    at = max(whole.start, tenure.subscription.start)
    for price in books.recurring_prices(tenure.offering_id, at, account.currency, account.time_zone):
        if price.price_id == kind.price_id:
            return price if price is kind or price.grid == kind.grid else None
    return None
