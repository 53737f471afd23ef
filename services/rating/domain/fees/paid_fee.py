"""The amount that was charged for a fee, from its charge and the corrections of it. Books play no part."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.contracts import Charge
from libs.money import sum_fractions
from services.rating.domain.charge_ids import corrected_part, fee_correction_id


@dataclass(frozen=True, slots=True)
class PaidFee:
    """The charge of a fee. `exact` is its amount with all corrections, not rounded."""

    charge: Charge
    exact: Fraction
    correction_ids: frozenset[str]

    @property
    def is_afterwards(self) -> bool:
        """Return whether the fee was charged after the end of its period."""
        return self.charge.opened_at is not None and self.charge.period.end <= self.charge.opened_at

    def next_correction_id(self, cut_label: str) -> str:
        """Return the id of the next correction by a cut of that month."""
        number = 0
        while (id := fee_correction_id(self.charge.id, cut_label, number)) in self.correction_ids:
            number += 1
        return id


def paid_fees(charges: Iterable[Charge], since: datetime) -> Mapping[str, Mapping[str, PaidFee]]:
    """Return the charged fees that end after `since`, by product and by id.

    `charges` are the recurring ones of an account. A correction counts with its fee even where its own days are earlier.
    """
    parts: dict[str, list[Charge]] = {}
    for charge in charges:
        if charge.period.end > since or charge.corrected_from is not None:
            parts.setdefault(corrected_part(charge.id), []).append(charge)
    paid: dict[str, dict[str, PaidFee]] = {}
    for part, charged in parts.items():
        corrections = [charge for charge in charged if charge.id.startswith(f"{part}|")]
        fees = [charge for charge in charged if not charge.id.startswith(f"{part}|")]
        # A correction may end later than its fee, which is before `since` then.
        if fees:
            exact = sum((sum_fractions(charge.sums) for charge in charged), Fraction(0))
            ids = frozenset(charge.id for charge in corrections)
            paid.setdefault(fees[0].product_id, {})[fees[0].id] = PaidFee(fees[0], exact, ids)
    return paid
