"""The greatest quantity that one usage plausibly has. What is beyond it is more often a broken counter than a customer's use."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from libs.contracts import UsageReceived
from libs.pricing.faults import Unreadable
from libs.pricing.unit import parse_unit_quantity

# Networks end a call within a day, and a session's volume is reported in parts long before 10 TB.
LIMITS_BY_UNIT = ("72 h", "10 TB", "100000 message", "100000 event")
# In any other unit, money among them.
LIMIT_OTHERWISE = Decimal(10) ** 9

_Place = tuple[str, str]


class InvalidLimit(ValueError):
    """A limit that cannot be read; the message says why and how to write it."""


class QuantityLimits:
    """Limits by usage type, as in {"voice": "24 h"}, and by unit for all other types. Raises InvalidLimit.

    A limit of a usage type holds for its usage in that unit; `by_unit` replaces the defaults of the units that it names.
    """

    def __init__(self, by_type: Mapping[str, str] | None = None, by_unit: Iterable[str] = ()) -> None:
        self._by_unit = dict(map(_limit, (*LIMITS_BY_UNIT, *by_unit)))
        self._by_type: dict[_Place, Decimal] = {}
        for usage_type, text in (by_type or {}).items():
            unit, count = _limit(text)
            self._by_type[usage_type, unit] = count

    def of(self, usage_type: str, unit: str) -> Decimal:
        """Return the greatest plausible quantity of one usage, in that unit."""
        limit = self._by_type.get((usage_type, unit))
        return self._by_unit.get(unit, LIMIT_OTHERWISE) if limit is None else limit

    def exceeded(self, usage: UsageReceived) -> str | None:
        """Return by what a usage is implausible, in words; None when it is not."""
        limit = self.of(usage.usage_type, usage.unit)
        if usage.quantity <= limit:
            return None
        return f"a {usage.usage_type} of {usage.quantity} {usage.unit} is beyond the limit of {limit:f} {usage.unit}"


def _limit(text: str) -> tuple[str, Decimal]:
    try:
        quantity = parse_unit_quantity(text)
    except Unreadable as error:
        raise InvalidLimit(f"limit {text!r}: {error}") from error
    return quantity.unit, Decimal(quantity.count.digits).scaleb(-quantity.count.decimals)
