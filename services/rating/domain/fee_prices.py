"""Which recurring prices a product's time with an offering has, as books take effect one after the other."""

from dataclasses import dataclass
from datetime import datetime

from libs.periods import Period
from libs.pricing import RateBooks, RecurringPrice
from libs.pricing.recurring_period import FeePeriod
from services.rating.domain.holdings import Account, Product
from services.rating.domain.tenures import Tenure


class WrongFeeCurrency(ValueError):
    """A fee is in another currency than the account; the text says which."""


@dataclass(frozen=True, slots=True)
class FeePrices:
    """The prices of one product and tenure: those that stand from the moment at which the tenure begins."""

    books: RateBooks
    account: Account
    product: Product
    tenure: Tenure

    @property
    def kinds(self) -> tuple[RecurringPrice, ...]:
        """One price for each id and each kind of period that the offering ever had."""
        return self.books.recurring_versions(self.tenure.offering_id, self.account.currency).kinds

    def of_period(self, price: RecurringPrice, fee_period: FeePeriod) -> RecurringPrice | None:
        """Return the price that stands where the product's part of the period begins, which for the first one is the purchase.

        None when there was no such price, or one with other periods.
        """
        for standing in self._standing(fee_period.lived(self.account.time_zone).start):
            if standing.price_id == price.price_id:
                return standing if _is_alike(standing, price) else None
        return None

    def refuse_other_currencies(self, billed: Period) -> None:
        """Raises WrongFeeCurrency when the fees of the billed period are in none but other currencies."""
        if not self.tenure.subscription.lasts_into(billed):
            return
        at = self._within(billed.start)
        if self.books.offering(self.tenure.offering_id, at, self.account.currency, self.account.time_zone) is not None:
            return
        for price in self.books.recurring_prices(self.tenure.offering_id, at, None, self.account.time_zone):
            raise WrongFeeCurrency(
                f"price {price.price_id} of product {self.product.id} is in {price.currency}, account {self.account.id} in "
                f"{self.account.currency}: give the product an offering priced in {self.account.currency}"
            )

    def _standing(self, at: datetime) -> tuple[RecurringPrice, ...]:
        account = self.account
        return self.books.recurring_prices(self.tenure.offering_id, self._within(at), account.currency, account.time_zone)

    def _within(self, at: datetime) -> datetime:
        """Return the instant, or the start of the tenure if that is later: nobody bought before it."""
        return max(at, self.tenure.subscription.start)


def _is_alike(price: RecurringPrice, other: RecurringPrice) -> bool:
    # Mostly it is the same one, for no book came between.
    return price is other or (price.price_id == other.price_id and price.grid == other.grid)
