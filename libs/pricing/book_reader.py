"""The format of a rate book: which keys it has and what they mean. README.md is its reference, with an example of each."""

from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone
from libs.pricing.called_prefix import parse_prefix
from libs.pricing.effective_date import parse_effective_from
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Place, Unreadable, suggest
from libs.pricing.increments import ONE_BY_ONE, parse_increments
from libs.pricing.price_table import build_tables
from libs.pricing.rate_book import Offering, RateBook, RecurringPrice
from libs.pricing.reader import Reader
from libs.pricing.time_band import ALL_DAY, EVERY_DAY, TimeBand, WeekSlots, divide_week, minutes_of_week, parse_days, parse_hours
from libs.pricing.unit import UnitQuantity, parse_unit_quantity
from libs.pricing.usage_price import NUMERATOR_MAX, CompiledPrice, UsageMatch, UsagePrice, compile_price, greatest_numerator
from libs.pricing.yaml_source import Node

PERIODS = ("month",)
# Each band takes the minutes of a week in memory, and more than these nobody can explain to a customer.
TIME_BANDS_MAX = 100
ZERO = ExactNumber(0)


def read_rate_book(tree: Node, reader: Reader) -> RateBook:
    """The book of a tree; worthless when the reader has faults afterwards."""
    fields = reader.fields(tree, ("id", "effective_from", "currency", "offerings"), ("time_zone", "zones", "time_bands"))
    zone = reader.value(fields.get("time_zone"), _parse_time_zone, ZoneInfo("UTC"))
    zones = {name: _read_prefixes(node, reader) for name, node in reader.named(fields.get("zones"), "[prefixes]").items()}
    bands = _read_time_bands(fields.get("time_bands"), reader)
    sound_names = not reader.faults
    offerings = _OfferingReader(
        reader,
        rate_book=reader.identifier(fields.get("id")),
        currency=reader.value(fields.get("currency"), _parse_currency, ""),
        zones=zones,
        bands=bands,
        sound_names=sound_names,
    )
    return RateBook(
        id=offerings.rate_book,
        effective_from=reader.value(fields.get("effective_from"), partial(parse_effective_from, zone=zone), datetime(1, 1, 1, tzinfo=UTC)),
        currency=offerings.currency,
        offerings={name: offerings.read(name, node) for name, node in reader.named(fields.get("offerings"), "{usage_prices}").items()},
        place=fields.get("id", tree).place,
    )


def _read_prefixes(node: Node, reader: Reader) -> tuple[str, ...]:
    prefixes: dict[str, None] = {}
    for item in reader.items(node):
        prefix = reader.value(item, parse_prefix, None)
        if prefix in prefixes:
            reader.refuse(item, f"prefix {prefix} is listed twice", "remove one of the two")
        elif prefix is not None:
            prefixes[prefix] = None
    return tuple(prefixes)


def _read_time_bands(node: Node | None, reader: Reader) -> dict[str, TimeBand]:
    nodes = reader.named(node, "{days, hours}")
    if node is not None and len(nodes) > TIME_BANDS_MAX:
        reader.refuse(node, f"{len(nodes)} time bands", f"use at most {TIME_BANDS_MAX}")
        return {}
    return {name: _read_time_band(name, part, reader) for name, part in nodes.items()}


def _read_time_band(name: str, node: Node, reader: Reader) -> TimeBand:
    minutes: set[int] = set()
    for part in reader.items(node):
        fields = reader.fields(part, (), ("days", "hours"))
        days = [reader.value(item, parse_days, EVERY_DAY) for item in reader.items(fields.get("days"))] or [EVERY_DAY]
        hours = [reader.value(item, parse_hours, ALL_DAY) for item in reader.items(fields.get("hours"))] or [ALL_DAY]
        for span in hours:
            minutes |= minutes_of_week(frozenset().union(*days), span)
    return TimeBand(name, frozenset(minutes))


class _OfferingReader:
    """Reads offerings with the zones and time bands of their book."""

    def __init__(
        self,
        reader: Reader,
        *,
        rate_book: str,
        currency: str,
        zones: dict[str, tuple[str, ...]],
        bands: dict[str, TimeBand],
        sound_names: bool,
    ) -> None:
        self.rate_book = rate_book
        self.currency = currency
        self._reader = reader
        self._zones = zones
        self._bands = bands
        # Without its prefixes a zone would only seem to tie with others.
        self._sound_names = sound_names
        self._week: WeekSlots = divide_week(tuple(bands.values()))

    def read(self, name: str, node: Node) -> Offering:
        fields = self._reader.fields(node, (), ("usage_prices", "recurring_prices"))
        declared: dict[str, Place] = {}
        usage_prices = [self._usage_price(item, declared) for item in self._reader.items(fields.get("usage_prices"))]
        recurring_prices = [self._recurring_price(item, declared) for item in self._reader.items(fields.get("recurring_prices"))]
        sound = tuple(price for price in usage_prices if price is not None) if self._sound_names else ()
        tables, ties = build_tables([(price, self._compiled(price)) for price in sound], self._week)
        self._reader.faults.extend(ties)
        return Offering(name, self.currency, self.rate_book, sound, tuple(recurring_prices), tables, node.place)

    def _usage_price(self, node: Node, declared: dict[str, Place]) -> UsagePrice | None:
        """None when it has a fault: half a price would only seem to tie with others."""
        reader = self._reader
        faults_before = len(reader.faults)
        fields = reader.fields(node, ("id", "description", "match", "price"), ("increments", "setup_fee", "tax_category"))
        asked = reader.fields(fields.get("price"), ("amount", "per"))
        per = reader.value(asked.get("per"), parse_unit_quantity, None)
        price = UsagePrice(
            id=self._price_id(fields.get("id"), declared),
            description=reader.text(fields.get("description")),
            match=self._match(fields.get("match")),
            amount=reader.value(asked.get("amount"), parse_number, ZERO),
            per=per or UnitQuantity(ExactNumber(1), "event", "event"),
            increments=reader.value(fields.get("increments"), partial(parse_increments, per=per), ONE_BY_ONE) if per else ONE_BY_ONE,
            setup_fee=reader.value(fields.get("setup_fee"), parse_number, ZERO),
            tax_category=reader.identifier(fields.get("tax_category")) or None,
            place=node.place,
        )
        return price if len(reader.faults) == faults_before else None

    def _match(self, node: Node | None) -> UsageMatch:
        reader = self._reader
        fields = reader.fields(node, ("usage_type",), ("called", "zone", "time_band"))
        if "called" in fields and "zone" in fields:
            reader.refuse(fields["called"], "both `called` and `zone` are given", "keep one of the two")
        called = _read_prefixes(fields["called"], reader) if "called" in fields else ()
        return UsageMatch(
            usage_type=reader.identifier(fields.get("usage_type")),
            called=reader.reference(fields.get("zone"), self._zones, "zone") or called,
            time_band=reader.reference(fields.get("time_band"), self._bands, "time band"),
        )

    def _recurring_price(self, node: Node, declared: dict[str, Place]) -> RecurringPrice:
        reader = self._reader
        fields = reader.fields(node, ("id", "description", "amount", "period"), ("tax_category",))
        return RecurringPrice(
            price_id=self._price_id(fields.get("id"), declared),
            description=reader.text(fields.get("description")),
            amount=reader.value(fields.get("amount"), parse_number, ZERO).to_decimal(),
            currency=self.currency,
            period=reader.value(fields.get("period"), _parse_period, PERIODS[0]),
            tax_category=reader.identifier(fields.get("tax_category")) or None,
            rate_book=self.rate_book,
        )

    def _price_id(self, node: Node | None, declared: dict[str, Place]) -> str:
        price_id = self._reader.identifier(node)
        if node is not None and price_id:
            first = declared.setdefault(price_id, node.place)
            if first != node.place:
                self._reader.refuse(
                    node, f"price id {price_id!r} is taken on line {first.line}", "give each price of an offering its own id"
                )
        return price_id

    def _compiled(self, price: UsagePrice) -> CompiledPrice:
        compiled = compile_price(price, self.currency, self.rate_book)
        if greatest_numerator(compiled) > NUMERATOR_MAX:
            self._reader.faults.append(
                price.place.fault("amount, unit, increments and set-up fee have too many digits together", "use fewer decimals")
            )
        return compiled


def _parse_currency(text: str) -> str:
    try:
        minor_unit_decimals(text)
    except UnknownCurrency as error:
        raise Unreadable(str(error), "use a code such as EUR or USD") from None
    return text


def _parse_time_zone(text: str) -> ZoneInfo:
    try:
        return time_zone(text)
    except UnknownTimeZone as error:
        raise Unreadable(str(error), "look it up in the time zone database") from None


def _parse_period(text: str) -> str:
    if text not in PERIODS:
        raise Unreadable(f"unknown period {text[:80]!r}", suggest(text, PERIODS, f"use {', '.join(PERIODS)}"))
    return text
