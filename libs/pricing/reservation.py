"""Reservations on a prepaid balance: how much of it a session may use next.

Available is the balance after what the session reports as used, less what all other sessions hold. What the session held
itself is released first: it never stands in its own way.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Balance:
    """What there is, and what sessions hold of it. Usage beyond what was granted may bring it below zero."""

    amount: Fraction
    held: Mapping[str, Fraction] = field(default_factory=dict)

    @property
    def reserved(self) -> Fraction:
        """What all sessions hold together."""
        return sum(self.held.values(), NOTHING)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a session may use now, of what it wanted."""

    amount: Fraction
    wanted: Fraction

    @property
    def is_partial(self) -> bool:
        """Whether it is less than what was wanted."""
        return self.amount < self.wanted


def reserve(balance: Balance, session_id: str, *, used: Fraction = NOTHING, wanted: Fraction = NOTHING) -> tuple[Balance, Grant]:
    """Take what the session used off the balance, release what it held, and hold what it wants as far as there is enough.

    Raises ValueError for less than nothing.
    """
    if used < 0 or wanted < 0:
        raise ValueError(f"session {session_id} cannot have used {used} nor want {wanted}")
    left = balance.amount - used
    others = {id: amount for id, amount in balance.held.items() if id != session_id}
    granted = min(wanted, max(NOTHING, left - sum(others.values(), NOTHING)))
    held = {**others, session_id: granted} if granted else others
    return Balance(left, held), Grant(granted, wanted)
