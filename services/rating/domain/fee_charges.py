"""The charge of a fee: a fixed amount, without usage, that the cut which adds it closes at once."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from libs.contracts import Charge, ChargeKind
from libs.periods import Period
from libs.pricing import OneTimePrice, RecurringPrice
from services.rating.domain.holdings import Account, Product


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a product: `exact` is not rounded, and negative for a credit.

    `terms` are those of a price; of a correction, those of the charge that it corrects. `corrected_from`, of a correction in advance
    of the period's end only: when the fee begins that it corrects.
    """

    id: str
    offering_id: str
    terms: RecurringPrice | OneTimePrice | Charge
    description: str
    period: Period
    exact: Fraction
    corrected_from: datetime | None = None


def fee_charge(account: Account, product: Product, asked: Asked, now: datetime) -> Charge:
    """The open charge."""
    return Charge(
        id=asked.id,
        account_id=account.id,
        product_id=product.id,
        product_name=product.name,
        offering_id=asked.offering_id,
        price_id=asked.terms.price_id,
        kind=ChargeKind.ONE_TIME if isinstance(asked.terms, OneTimePrice) else ChargeKind.RECURRING,
        description=asked.description,
        currency=asked.terms.currency,
        period=asked.period,
        sequence=0,
        quantity=Decimal(1),
        sums={str(asked.exact.denominator): Decimal(asked.exact.numerator)},
        line_rounding=asked.terms.line_rounding,
        tax_category=asked.terms.tax_category,
        is_tax_included=asked.terms.is_tax_included,
        corrected_from=asked.corrected_from,
        opened_at=now,
        updated_at=now,
    )
