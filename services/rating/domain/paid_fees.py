"""What was charged for the periods of fees, by the charges themselves: whatever the books say of them now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.contracts import Charge
from libs.money import sum_fractions
from services.rating.domain.charge_ids import corrected_part, fee_correction_id


@dataclass(frozen=True, slots=True)
class PaidFee:
    """A fee's own charge, and what it comes to with all corrections since, exactly."""

    charge: Charge
    exact: Fraction
    correction_ids: frozenset[str]

    @property
    def is_afterwards(self) -> bool:
        """Whether it was charged when its period was over."""
        return self.charge.opened_at is not None and self.charge.period.end <= self.charge.opened_at

    def next_correction_id(self, cut_label: str) -> str:
        """The id of what a cut of that month corrects of it, after other cuts of that month."""
        number = 0
        while (id := fee_correction_id(self.charge.id, cut_label, number)) in self.correction_ids:
            number += 1
        return id


def counts_since(charge: Charge, since: datetime) -> bool:
    """Whether a recurring charge may tell what was charged for a fee that ends after that instant.

    What corrects a part of a fee may be about days that are long over.
    """
    return charge.period.end > since or charge.corrected_from is not None


def paid_fees(charges: Iterable[Charge]) -> Mapping[str, Mapping[str, PaidFee]]:
    """By product and id of the fee, of all recurring charges of an account from some time on."""
    parts: dict[str, list[Charge]] = {}
    for charge in charges:
        parts.setdefault(corrected_part(charge.id), []).append(charge)
    paid: dict[str, dict[str, PaidFee]] = {}
    for part, charged in parts.items():
        corrections = [charge for charge in charged if charge.id.startswith(f"{part}|")]
        fees = [charge for charge in charged if not charge.id.startswith(f"{part}|")]
        # A correction may end later than its fee, which is from before that time then.
        if fees:
            exact = sum((sum_fractions(charge.sums) for charge in charged), Fraction(0))
            ids = frozenset(charge.id for charge in corrections)
            paid.setdefault(fees[0].product_id, {})[fees[0].id] = PaidFee(fees[0], exact, ids)
    return paid
