"""Usage at home and usage abroad: which of them a price or an allowance is for, in books that name their home networks.

A usage is at home when it names no visited network, or one of the book's home networks.
"""

from enum import StrEnum

from libs.contracts import UsageReceived
from libs.pricing.network_code import VISITED_NETWORK

# What a book says whose operator has no mobile network: any network that a usage names is foreign.
NO_HOME_NETWORK = "none"
# Where a price claims usage, beside the codes of networks, which are digits.
AT_HOME = "at home"
ABROAD = "abroad"


class Roaming(StrEnum):
    """`excluded`: usage at home; `included`: usage at home and abroad; `only`: usage abroad."""

    EXCLUDED = "excluded"
    INCLUDED = "included"
    ONLY = "only"

    @property
    def places(self) -> tuple[str, ...]:
        """Return where it is for: at home, abroad, or both."""
        return {Roaming.EXCLUDED: (AT_HOME,), Roaming.INCLUDED: (AT_HOME, ABROAD), Roaming.ONLY: (ABROAD,)}[self]


def is_roaming(usage: UsageReceived, home_networks: tuple[str, ...]) -> bool:
    """Return whether a usage was made in a network that is not of the home networks."""
    visited = usage.characteristics.get(VISITED_NETWORK)
    return visited is not None and visited != "" and not visited.startswith(home_networks)
