"""The format of a rate book: which keys it has and what they mean. README.md is its reference, with an example of each."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone
from libs.pricing.book_terms import BookTerms
from libs.pricing.effective_date import parse_effective_from
from libs.pricing.faults import Unreadable
from libs.pricing.offering_reader import read_offering
from libs.pricing.rate_book import RateBook
from libs.pricing.reader import Reader
from libs.pricing.time_band import ALL_DAY, EVERY_DAY, TimeBand, minutes_of_week, parse_days, parse_hours
from libs.pricing.usage_price_reader import read_prefixes
from libs.pricing.yaml_source import Node

# Each band takes the minutes of a week in memory, and more than these nobody can explain to a customer.
TIME_BANDS_MAX = 100


def read_rate_book(tree: Node, reader: Reader) -> RateBook:
    """The book of a tree; worthless when the reader has faults afterwards."""
    fields = reader.fields(tree, ("id", "effective_from", "currency", "offerings"), ("time_zone", "zones", "time_bands"))
    zone = reader.value(fields.get("time_zone"), _parse_time_zone, ZoneInfo("UTC"))
    zones = {name: read_prefixes(node, reader) for name, node in reader.named(fields.get("zones"), "[prefixes]").items()}
    bands = _read_time_bands(fields.get("time_bands"), reader)
    # Without its prefixes a zone would only seem to tie with others.
    sound_names = not reader.faults
    terms = BookTerms(
        reader,
        rate_book=reader.identifier(fields.get("id")),
        currency=reader.value(fields.get("currency"), _parse_currency, ""),
        zones=zones,
        bands=bands,
    )
    offerings = {
        name: read_offering(name, node, replace(terms, declared={}), sound_names=sound_names)
        for name, node in reader.named(fields.get("offerings"), "{usage_prices}").items()
    }
    return RateBook(
        id=terms.rate_book,
        effective_from=reader.value(fields.get("effective_from"), partial(parse_effective_from, zone=zone), datetime(1, 1, 1, tzinfo=UTC)),
        currency=terms.currency,
        offerings=offerings,
        place=fields.get("id", tree).place,
    )


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
