"""Which price a usage gets: tables by usage type, characteristics, visited network, called-number prefix and slot of local time.

In a book that names its home networks, usage at home and usage abroad have tables of their own.

The most specific price wins, compared in this order: more characteristics, longer network code, longer called-number prefix, a time
band before none. A more specific price that has no hours at that time leaves the usage to the next one. Two prices that would win
equally are a fault of the book, found while compiling, so a lookup never has to choose.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from libs.contracts import UsageReceived
from libs.pricing.compiled_price import CompiledPrice
from libs.pricing.faults import Fault
from libs.pricing.local_time import CALENDAR_END, local_minute, same_offset_until
from libs.pricing.network_code import VISITED_NETWORK
from libs.pricing.roaming import ABROAD, AT_HOME
from libs.pricing.time_band import MINUTES_PER_WEEK, WeekSlots
from libs.pricing.usage_price import UsageMatch, UsagePrice

# The prices of one prefix: one for each slot, or a single one when it is always the same.
SlotPrices = tuple[CompiledPrice | None, ...]
NO_PRICES: SlotPrices = (None,)
ANY = ""
NEVER = datetime.max.replace(tzinfo=UTC)

# Combinations of the characteristics that a book names; beyond so many the tables of the oldest are made again.
COMBINATIONS_REMEMBERED_MAX = 10_000

Prices = Sequence[tuple[UsagePrice, CompiledPrice]]


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Prices by called number and time. `prefix_lengths` from the longest; `otherwise` is for numbers with no prefix here.

    `every_week` has the slots of its minutes where all weeks are alike, for lack of holidays.
    """

    prefix_lengths: tuple[int, ...]
    by_prefix: Mapping[str, SlotPrices]
    otherwise: SlotPrices
    week: WeekSlots
    every_week: tuple[int, ...] | None

    def find(self, usage: UsageReceived, at: datetime, time_zone: str) -> CompiledPrice | None:
        """The price of a usage at that time, by the clock of that zone. Raises UnknownTimeZone."""
        prices = self.otherwise
        called_number = usage.called_number
        if called_number:
            by_prefix = self.by_prefix
            for length in self.prefix_lengths:
                found = by_prefix.get(called_number[:length])
                if found is not None:
                    prices = found
                    break
        if len(prices) == 1:
            return prices[0]
        if self.every_week is not None:
            return prices[self.every_week[local_minute(at, time_zone) % MINUTES_PER_WEEK]]
        return prices[self.week.slot(local_minute(at, time_zone))]


@dataclass(frozen=True, slots=True)
class NetworkTable:
    """Prices by visited network first, from the longest code; `otherwise` is for what has none of these."""

    code_lengths: tuple[int, ...]
    by_code: Mapping[str, PriceTable]
    otherwise: PriceTable

    def find(self, usage: UsageReceived, at: datetime, time_zone: str) -> CompiledPrice | None:
        """The price of a usage at that time, by the clock of that zone. Raises UnknownTimeZone."""
        visited = usage.characteristics.get(VISITED_NETWORK)
        if visited:
            for length in self.code_lengths:
                table = self.by_code.get(visited[:length])
                if table is not None:
                    price = table.find(usage, at, time_zone)
                    if price is not None:
                        return price
        return self.otherwise.find(usage, at, time_zone)


@dataclass(frozen=True, slots=True)
class RoamingTable:
    """Prices of usage at home and of usage abroad: there are no prices that are for both without saying so."""

    home_networks: tuple[str, ...]
    at_home: PriceTable
    abroad: PriceTable | NetworkTable

    def find(self, usage: UsageReceived, at: datetime, time_zone: str) -> CompiledPrice | None:
        """The price of a usage at that time, by the clock of that zone. Raises UnknownTimeZone."""
        visited = usage.characteristics.get(VISITED_NETWORK)
        if visited and not visited.startswith(self.home_networks):
            return self.abroad.find(usage, at, time_zone)
        return self.at_home.find(usage, at, time_zone)


NetworksTable = PriceTable | NetworkTable | RoamingTable


@dataclass(frozen=True, slots=True)
class CharacteristicTable:
    """Prices by characteristics first. `values` are those that prices name, by characteristic.

    The tables of a combination of values are made when a usage comes with it: there may be more combinations than anybody uses.
    """

    prices: Prices
    values: Mapping[str, frozenset[str]]
    week: WeekSlots
    made: dict[tuple[str | None, ...], tuple[NetworksTable, ...]] = field(default_factory=dict)

    def find(self, usage: UsageReceived, at: datetime, time_zone: str) -> CompiledPrice | None:
        """The price of a usage at that time, by the clock of that zone. Raises UnknownTimeZone."""
        given = usage.characteristics
        combination = tuple([value if (value := given.get(name)) in named else None for name, named in self.values.items()])
        tables = self.made.get(combination)
        if tables is None:
            tables = self._make(combination)
        for table in tables:
            price = table.find(usage, at, time_zone)
            if price is not None:
                return price
        return None

    def _make(self, combination: tuple[str | None, ...]) -> tuple[NetworksTable, ...]:
        """A table for each number of characteristics that prices of this combination have, the most first."""
        given = dict(zip(self.values, combination, strict=True))
        levels: dict[int, list[tuple[UsagePrice, CompiledPrice]]] = {}
        for price, compiled in self.prices:
            named = price.match.characteristics
            if all(given[name] in values for name, values in named.items()):
                levels.setdefault(len(named), []).append((price, compiled))
        tables = tuple(_network_table(levels[count], self.week) for count in sorted(levels, reverse=True))
        if len(self.made) >= COMBINATIONS_REMEMBERED_MAX:
            self.made.clear()
        self.made[combination] = tables
        return tables


UsageTable = NetworksTable | CharacteristicTable


def build_tables(prices: Iterable[tuple[UsagePrice, CompiledPrice]], week: WeekSlots) -> tuple[dict[str, UsageTable], list[Fault]]:
    """A table per usage type, and a fault for each two prices that match equally."""
    by_type: dict[str, list[tuple[UsagePrice, CompiledPrice]]] = {}
    for price, compiled in prices:
        by_type.setdefault(price.match.usage_type, []).append((price, compiled))
    ties = [fault for of_type in by_type.values() for fault in _ties([price for price, _ in of_type], week)]
    return ({} if ties else {usage_type: _usage_table(of_type, week) for usage_type, of_type in by_type.items()}), ties


def slot_until(week: WeekSlots, at: datetime, time_zone: str) -> datetime:
    """An instant up to which the same time bands hold as at `at`; at most the next local midnight or change of the clocks."""
    if at >= CALENDAR_END:
        return NEVER
    steady = same_offset_until(at, time_zone)
    left = timedelta(minutes=week.minutes_left(local_minute(at, time_zone)))
    return min(steady, at.replace(second=0, microsecond=0) + left)


def _usage_table(prices: Prices, week: WeekSlots) -> UsageTable:
    values: dict[str, frozenset[str]] = {}
    for price, _ in prices:
        for name, named in price.match.characteristics.items():
            values[name] = values.get(name, frozenset()) | named
    return CharacteristicTable(prices, values, week) if values else _network_table(prices, week)


def _network_table(prices: Prices, week: WeekSlots) -> NetworksTable:
    """The table of prices of one book, which either names its home networks or does not."""
    by_code: dict[str, list[tuple[UsagePrice, CompiledPrice]]] = {ANY: [], AT_HOME: [], ABROAD: []}
    for price, compiled in prices:
        for code in price.match.places:
            by_code.setdefault(code, []).append((price, compiled))
    tables = {code: _price_table(of_code, week) for code, of_code in by_code.items()}
    at_home, abroad, anywhere = tables.pop(AT_HOME), tables.pop(ABROAD), tables.pop(ANY)
    home_networks = prices[0][0].match.home_networks
    otherwise = anywhere if home_networks is None else abroad
    table = NetworkTable(_lengths(tables), tables, otherwise) if tables else otherwise
    return table if home_networks is None else RoamingTable(home_networks, at_home, table)


def _price_table(prices: Prices, week: WeekSlots) -> PriceTable:
    banded: dict[str, dict[int, CompiledPrice]] = {}
    unbanded: dict[str, CompiledPrice] = {}
    for price, compiled in prices:
        band = price.match.time_band
        for prefix in price.match.called or (ANY,):
            if band is None:
                unbanded[prefix] = compiled
            else:
                banded.setdefault(prefix, {}).update(dict.fromkeys(week.slots_by_band[band.name], compiled))

    def slot_prices(prefix: str, of_shorter_prefix: SlotPrices) -> SlotPrices:
        always = unbanded.get(prefix)
        inherited = of_shorter_prefix if always is None else (always,) * week.count
        at_times = banded.get(prefix)
        return inherited if at_times is None else tuple(at_times.get(slot, price) for slot, price in enumerate(inherited))

    all_slots = {ANY: slot_prices(ANY, NO_PRICES * week.count)}
    for prefix in sorted((banded.keys() | unbanded.keys()) - {ANY}, key=len):
        all_slots[prefix] = slot_prices(prefix, all_slots[_longest_prefix(prefix, all_slots)])
    shared: dict[SlotPrices, SlotPrices] = {}
    by_prefix = {prefix: shared.setdefault(prices, _once_if_constant(prices)) for prefix, prices in all_slots.items()}
    otherwise = by_prefix.pop(ANY)
    every_week = None if week.special_days else week.week.slot_by_minute
    return PriceTable(_lengths(by_prefix), by_prefix, otherwise, week, every_week)


def _ties(prices: Iterable[UsagePrice], week: WeekSlots) -> list[Fault]:
    """A fault for each two prices of a usage type that one usage could match equally."""
    claims: dict[tuple[int, str, str, int | None], list[UsagePrice]] = {}
    ties: dict[tuple[int, int], Fault] = {}
    for price in prices:
        match = price.match
        slots: Iterable[int | None] = (None,) if match.time_band is None else sorted(week.slots_by_band[match.time_band.name])
        for code in match.places:
            for prefix in match.called or (ANY,):
                for slot in slots:
                    holders = claims.setdefault((len(match.characteristics), code, prefix, slot), [])
                    rival = next((holder for holder in holders if _may_meet(holder.match, match)), None)
                    if rival is None:
                        holders.append(price)
                    elif rival is not price and (id(rival), id(price)) not in ties:
                        ties[id(rival), id(price)] = _tie(price, rival, code, prefix, None if slot is None else week.slot_names[slot])
    return list(ties.values())


def _may_meet(one: UsageMatch, other: UsageMatch) -> bool:
    """Whether a usage may have the characteristics of both."""
    return all(values & other.characteristics[name] for name, values in one.characteristics.items() if name in other.characteristics)


def _tie(price: UsagePrice, rival: UsagePrice, code: str, prefix: str, when: str | None) -> Fault:
    named_code = code.isdigit()
    where = (f" in networks {code}" if named_code else f" {code}" if code else "") + (f" for numbers with {prefix}" if prefix else "")
    if price.match.characteristics:
        remedy = "let one of them name one more characteristic, or values that the other does not"
    else:
        remedy = f"give one of them {'a longer network code, ' if named_code else ''}a longer prefix or another time band"
    named = f" with {', '.join(sorted(price.match.characteristics))}" if price.match.characteristics else ""
    return price.place.fault(
        f"price {price.id!r} matches {price.match.usage_type}{where}{named}{f' on {when}' if when else ''} "
        f"just as price {rival.id!r} (line {rival.place.line}) does",
        remedy,
    )


def _lengths(prefixes: Iterable[str]) -> tuple[int, ...]:
    return tuple(sorted({len(prefix) for prefix in prefixes}, reverse=True))


def _longest_prefix(number: str, known: Mapping[str, SlotPrices]) -> str:
    return next(number[:length] for length in range(len(number) - 1, -1, -1) if number[:length] in known)


def _once_if_constant(prices: SlotPrices) -> SlotPrices:
    return prices[:1] if all(price is prices[0] for price in prices) else prices
