"""How specific a price is for a usage: the order in which the tables of prices look, said for one price at a time.

For explanations, and for tests of the tables: pricing itself asks the tables.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from libs.contracts import UsageReceived
from libs.pricing.network_code import VISITED_NETWORK
from libs.pricing.roaming import ABROAD, AT_HOME, is_roaming
from libs.pricing.time_band import WeekSlots
from libs.pricing.usage_price import UsageMatch


@dataclass(frozen=True, slots=True, order=True)
class Specificity:
    """Greater is more specific: the number of characteristics, the digits of network and called number, and whether hours are said."""

    characteristic_count: int
    code_length: int
    prefix_length: int
    has_time_band: bool

    def lead_over(self, other: "Specificity") -> str:
        """What this one has before the other, in words."""
        if self.characteristic_count != other.characteristic_count:
            return f"it names {self.characteristic_count} characteristics, not {other.characteristic_count}"
        if self.code_length != other.code_length:
            return f"{self.code_length} digits of its visited network match, not {other.code_length}"
        if self.prefix_length != other.prefix_length:
            return f"{self.prefix_length} characters of the called number match, not {other.prefix_length}"
        return "it is for a time band, the other for any time"


def specificity(match: UsageMatch, usage: UsageReceived, week: WeekSlots, slot: int) -> Specificity | None:
    """None when the price is not for this usage in that slot of local time."""
    code_length = _network_length(match, usage)
    prefix_length = _matching(match.called, usage.called_number)
    in_band = match.time_band is None or slot in week.slots_by_band[match.time_band.name]
    named = all(usage.characteristics.get(name) in values for name, values in match.characteristics.items())
    if match.usage_type != usage.usage_type or code_length is None or prefix_length is None or not in_band or not named:
        return None
    return Specificity(len(match.characteristics), code_length, prefix_length, match.time_band is not None)


def _network_length(match: UsageMatch, usage: UsageReceived) -> int | None:
    """The digits of the network code that match; None when the price is not for where the usage was made."""
    if match.home_networks is not None:
        roams = is_roaming(usage, match.home_networks)
        if not match.networks:
            return 0 if (ABROAD if roams else AT_HOME) in match.places else None
        if not roams:
            return None
    return _matching(match.networks, usage.characteristics.get(VISITED_NETWORK))


def _matching(prefixes: Iterable[str], text: str | None) -> int | None:
    """The length of the longest prefix of a text; 0 where there need not be any, None where none is one."""
    if not prefixes:
        return 0
    return max((len(prefix) for prefix in prefixes if text and text.startswith(prefix)), default=None)
