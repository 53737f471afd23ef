"""What pricing answers for one usage: its exact price, or the reason why it has none.

Named tuples, because a frozen dataclass of ten fields takes longer to build than the price to find.
"""

from decimal import Decimal
from typing import NamedTuple

from libs.contracts import RejectionReason


class PricedUsage(NamedTuple):
    """The exact amount is `numerator / denominator` in `currency`, not rounded; `charged_quantity` counts `unit`s.

    The denominator is the same for every usage of a price, so that a charge adds few distinct ones.
    """

    price_id: str
    description: str
    usage_type: str
    unit: str
    charged_quantity: Decimal
    numerator: int
    denominator: int
    currency: str
    tax_category: str | None
    rate_book: str


class RejectedUsage(NamedTuple):
    """`reason` is no-price, wrong-unit, wrong-currency, negative-quantity or absurd-quantity; `detail` is for people."""

    reason: RejectionReason
    detail: str
