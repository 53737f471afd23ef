"""A one-time price: asked once of a product, when it is activated or when it is terminated.

One that is asked for each event is a usage price: the events are usages, and counted as such.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from libs.contracts import LineRounding


class ChargedAt(StrEnum):
    """What makes a one-time price due."""

    ACTIVATION = "activation"
    TERMINATION = "termination"


@dataclass(frozen=True, slots=True)
class OneTimePrice:
    """`amount` is exact, not rounded to the currency; `line_rounding` is for that, where the book says other than half up."""

    price_id: str
    description: str
    amount: Decimal
    currency: str
    charged_at: ChargedAt
    tax_category: str | None
    rate_book: str
    line_rounding: LineRounding | None = None
    is_tax_included: bool = False
