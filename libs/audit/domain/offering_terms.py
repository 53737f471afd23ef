"""The terms that pricing asks for: an offering, and the time zone and currency of the account that pays."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.audit.domain.usages import received_usage
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance


@dataclass(frozen=True, slots=True)
class OfferingTerms:
    """An offering, and whose account pays."""

    offering_id: str
    time_zone: str
    currency: str

    def price(self, usage: Mapping[str, Any], books: RateBooks) -> PricedUsage | RejectedUsage:
        """The price of a stored usage by these books, without what allowances pay."""
        return books.price_usage(self.offering_id, received_usage(usage), time_zone=self.time_zone, currency=self.currency)

    def books_of(self, usage: Mapping[str, Any], priced: PricedUsage | RejectedUsage, books: RateBooks) -> list[str]:
        """Return the books that priced it so, or the one that refused to. One published later may do so for what others priced."""
        if isinstance(priced, PricedUsage):
            return [part.rate_book for part in priced.parts]
        offering = books.offering(self.offering_id, usage["started_at"], self.currency, self.time_zone)
        return [] if offering is None else [offering.rate_book]

    def allowances(self, at: datetime, books: RateBooks) -> dict[str, Allowance]:
        """Return the allowances of the offering at an instant, by id."""
        offering = books.offering(self.offering_id, at, self.currency, self.time_zone)
        return {} if offering is None else {allowance.id: allowance for allowance in offering.allowances}
