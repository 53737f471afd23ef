"""A fee that a cut charges: a fixed amount without usage, negative for a credit. The cut that makes its charge closes it at once."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeKind
from libs.periods import Period
from libs.pricing import OneTimePrice, RecurringPrice
from services.rating.domain.holdings import Account, Product


@dataclass(frozen=True, slots=True)
class FeeToCharge:
    """A fee or the correction of one. `exact` is not rounded.

    `terms` are the price, or of a correction the corrected charge. `corrected_from` is set on a correction of a fee in advance: the start
    of that fee's period.
    """

    id: str
    product: Product
    offering_id: str
    terms: RecurringPrice | OneTimePrice | Charge
    description: str
    period: Period
    exact: Fraction
    corrected_from: datetime | None = None
    share: str = ""

    def charge(self, account: Account, now: datetime) -> Charge:
        """Return the open charge."""
        return Charge(
            id=self.id,
            account_id=account.id,
            product_id=self.product.id,
            product_name=self.product.name,
            offering_id=self.offering_id,
            price_id=self.terms.price_id,
            kind=ChargeKind.ONE_TIME if isinstance(self.terms, OneTimePrice) else ChargeKind.RECURRING,
            description=self.description,
            currency=self.terms.currency,
            period=self.period,
            sequence=0,
            quantity=Decimal(1),
            sums={str(self.exact.denominator): Decimal(self.exact.numerator)},
            line_rounding=self.terms.line_rounding,
            tax_category=self.terms.tax_category,
            is_tax_included=self.terms.is_tax_included,
            corrected_from=self.corrected_from,
            opened_at=now,
            updated_at=now,
        )
