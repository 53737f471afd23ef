"""What the bills say against what the operator published, band by band.

A band without calls gets no bill line; it agrees with a published charge of zero.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from libs.demo.churn import Band, ChurnCustomer

CENT = Decimal("0.01")
BilledAmounts = Mapping[tuple[int, Band], Decimal]


@dataclass(frozen=True)
class Comparison:
    """`line_count` published charges; of them equal to the bill, exactly one cent below it, or neither. `total` of all
    bill lines in USD, before tax."""

    line_count: int
    equal_count: int
    cent_above_count: int
    total: Decimal

    @property
    def wrong_count(self) -> int:
        """Lines that differ by anything but the one cent that the source lost in rounding."""
        return self.line_count - self.equal_count - self.cent_above_count


def compare_with_published(customers: Iterable[ChurnCustomer], billed: BilledAmounts) -> Comparison:
    """`billed` holds the amount of each bill line by customer number and band."""
    differences = [
        billed.get((customer.number, band), Decimal(0)) - traffic.published_charge
        for customer in customers
        for band, traffic in customer.traffic.items()
    ]
    return Comparison(len(differences), differences.count(Decimal(0)), differences.count(CENT), sum(billed.values(), Decimal("0.00")))
