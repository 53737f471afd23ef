"""The recurring fees that the books ask of a product, by all that is known of it: one for each price and each period of that."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from libs.periods import MOMENT, Period, month_containing
from libs.pricing import RateBooks, RecurringPrice
from libs.pricing.recurring import Fee, fee_of, periods_between
from libs.pricing.recurring_period import FeePeriod
from libs.pricing.recurring_price import Charged
from services.rating.domain.charge_ids import recurring_charge_id
from services.rating.domain.fee_charges import Asked
from services.rating.domain.fee_prices import FeePrices
from services.rating.domain.holdings import CHARGED, Account, Product
from services.rating.domain.months import label_of
from services.rating.domain.tenures import Tenure, tenures_of


@dataclass(frozen=True, slots=True)
class ProductFee:
    """A period of a fee; `id` is that of its charge. What is owed for it, if anything, depends on the tenure."""

    id: str
    tenure: Tenure
    price: RecurringPrice
    fee_period: FeePeriod
    whole: Period

    def owed(self, zone_name: str) -> Fee | None:
        """What is due of it; None when nothing is."""
        return fee_of(self.price, self.tenure.subscription, self.fee_period, zone_name)

    def charged_in(self, zone_name: str) -> tuple[str, str]:
        """The labels of the first and the last month whose cut may charge it; those after it have passed it over."""
        begins_in = month_containing(self.whole.start, zone_name)
        last = month_containing(self.whole.end - MOMENT, zone_name)
        if self.price.charged is Charged.ADVANCE:
            first = month_containing(begins_in.start - MOMENT, zone_name)
        else:
            end = self.tenure.subscription.end
            first = last if end is None or end >= self.whole.end else month_containing(max(end - MOMENT, self.whole.start), zone_name)
        return label_of(first, zone_name), label_of(last, zone_name)


def product_fees(account: Account, product: Product, books: RateBooks, start: datetime, end: datetime) -> Iterator[ProductFee]:
    """Those whose periods have a day between two instants."""
    if product.status not in CHARGED:
        return
    zone = account.time_zone
    for tenure in tenures_of(product):
        prices = FeePrices(books, account, product, tenure)
        for kind in prices.kinds:
            for fee_period in periods_between(kind, tenure.subscription, start, end, zone):
                whole = fee_period.lived(zone)
                if not account.bills_from(max(whole.start, tenure.subscription.start)):
                    continue
                price = prices.of_period(kind, fee_period)
                if price is not None:
                    label = f"{fee_period.first}.{tenure.number}" if tenure.number else str(fee_period.first)
                    id = recurring_charge_id(account.id, product.id, price.price_id, label)
                    yield ProductFee(id, tenure, price, fee_period, whole)


def refuse_other_currencies(account: Account, product: Product, books: RateBooks, billed: Period) -> None:
    """Raises WrongFeeCurrency when an offering's fees of the billed period are in none but other currencies."""
    if product.status in CHARGED:
        for tenure in tenures_of(product):
            FeePrices(books, account, product, tenure).refuse_other_currencies(billed)


def asked_for(fee: ProductFee, owed: Fee) -> Asked:
    """The charge of a fee."""
    return Asked(fee.id, fee.tenure.offering_id, fee.price, owed.description, owed.period, owed.exact)
