"""Which price a usage gets: tables by usage type, called-number prefix and slot of the local week.

The longest prefix that has a price at that time wins; of two prices with the same prefix the one with a time band wins.
Two prices that would win equally are a fault of the book, found while compiling, so a lookup never has to choose.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.pricing.faults import Fault
from libs.pricing.local_time import minute_of_week
from libs.pricing.time_band import WeekSlots, minute_name
from libs.pricing.usage_price import CompiledPrice, UsagePrice

# The prices of one prefix: one for each slot of the week, or a single one when it is the same all week.
SlotPrices = tuple[CompiledPrice | None, ...]
NO_PRICES: SlotPrices = (None,)
NO_PREFIX = ""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The prices of one usage type. `prefix_lengths` from the longest; `otherwise` is for numbers with no prefix here."""

    prefix_lengths: tuple[int, ...]
    by_prefix: Mapping[str, SlotPrices]
    otherwise: SlotPrices
    slot_by_minute: tuple[int, ...]

    def find(self, called_number: str | None, started_at: datetime, time_zone: str) -> CompiledPrice | None:
        """The price of a usage that starts then, by the clock of that zone. Raises UnknownTimeZone."""
        prices = self.otherwise
        if called_number:
            by_prefix = self.by_prefix
            for length in self.prefix_lengths:
                found = by_prefix.get(called_number[:length])
                if found is not None:
                    prices = found
                    break
        if len(prices) == 1:
            return prices[0]
        return prices[self.slot_by_minute[minute_of_week(started_at, time_zone)]]


def build_tables(prices: Iterable[tuple[UsagePrice, CompiledPrice]], week: WeekSlots) -> tuple[dict[str, PriceTable], list[Fault]]:
    """A table per usage type, and a fault for each two prices that match equally."""
    claims: dict[str, _Claims] = {}
    for price, compiled in prices:
        claims.setdefault(price.match.usage_type, _Claims(week)).add(price, compiled)
    tables = {usage_type: claim.table() for usage_type, claim in claims.items()}
    return tables, [fault for claim in claims.values() for fault in claim.faults]


class _Claims:
    """Who claims which prefix in which slot of the week; the prefix "" stands for usage with any number or none."""

    def __init__(self, week: WeekSlots) -> None:
        self._week = week
        self._banded: dict[str, dict[int, tuple[UsagePrice, CompiledPrice]]] = {}
        self._unbanded: dict[str, tuple[UsagePrice, CompiledPrice]] = {}
        self._ties: dict[tuple[int, int], Fault] = {}

    @property
    def faults(self) -> list[Fault]:
        return list(self._ties.values())

    def add(self, price: UsagePrice, compiled: CompiledPrice) -> None:
        for prefix in price.match.called or (NO_PREFIX,):
            if price.match.time_band is None:
                holder, _ = self._unbanded.setdefault(prefix, (price, compiled))
                self._refuse_tie(price, holder, prefix, slot=None)
                continue
            slots = self._banded.setdefault(prefix, {})
            for slot in sorted(self._week.slots_by_band[price.match.time_band.name]):
                holder, _ = slots.setdefault(slot, (price, compiled))
                self._refuse_tie(price, holder, prefix, slot)

    def table(self) -> PriceTable:
        whole_week = {NO_PREFIX: self._prices(NO_PREFIX, NO_PRICES * self._week.count)}
        for prefix in sorted((self._banded.keys() | self._unbanded.keys()) - {NO_PREFIX}, key=len):
            whole_week[prefix] = self._prices(prefix, whole_week[_longest_prefix(prefix, whole_week)])
        shared: dict[SlotPrices, SlotPrices] = {}
        by_prefix = {prefix: shared.setdefault(prices, _once_if_constant(prices)) for prefix, prices in whole_week.items()}
        otherwise = by_prefix.pop(NO_PREFIX)
        lengths = tuple(sorted({len(prefix) for prefix in by_prefix}, reverse=True))
        return PriceTable(lengths, by_prefix, otherwise, self._week.slot_by_minute)

    def _prices(self, prefix: str, of_shorter_prefix: SlotPrices) -> SlotPrices:
        banded, unbanded = self._banded.get(prefix, {}), self._unbanded.get(prefix)
        prices = of_shorter_prefix if unbanded is None else (unbanded[1],) * self._week.count
        return tuple(banded[slot][1] if slot in banded else price for slot, price in enumerate(prices))

    def _refuse_tie(self, price: UsagePrice, holder: UsagePrice, prefix: str, slot: int | None) -> None:
        if holder is price or (id(holder), id(price)) in self._ties:
            return
        where = f" for numbers with {prefix}" if prefix else ""
        when = "" if slot is None else f" on {minute_name(self._week.slot_by_minute.index(slot))}"
        self._ties[id(holder), id(price)] = price.place.fault(
            f"price {price.id!r} matches {price.match.usage_type}{where}{when} just as price {holder.id!r} (line {holder.place.line}) does",
            "give one of them a longer prefix or another time band",
        )


def _longest_prefix(number: str, known: Mapping[str, SlotPrices]) -> str:
    return next(number[:length] for length in range(len(number) - 1, -1, -1) if number[:length] in known)


def _once_if_constant(prices: SlotPrices) -> SlotPrices:
    return prices[:1] if all(price is prices[0] for price in prices) else prices
