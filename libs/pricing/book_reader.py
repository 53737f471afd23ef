"""The format of a rate book: which keys it has and what they mean. README.md is its reference, with an example of each."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

from libs.money import UnknownCurrency, minor_unit_decimals
from libs.periods import UnknownTimeZone, time_zone
from libs.pricing.allowance_reader import refuse_different_shares
from libs.pricing.book_format import FIRST_FORMAT, parse_format
from libs.pricing.book_terms import BookTerms
from libs.pricing.effective_date import EffectiveFrom, parse_effective_from
from libs.pricing.faults import Unreadable
from libs.pricing.holidays import read_holidays
from libs.pricing.network_code import parse_network_code
from libs.pricing.offering_reader import read_offering
from libs.pricing.prefix_reader import read_prefixes
from libs.pricing.rate_book import RateBook
from libs.pricing.reader import Reader
from libs.pricing.remedies import currency_remedy
from libs.pricing.roaming_reader import read_home_networks
from libs.pricing.rounding_reader import DEFAULT_ROUNDING, read_rounding
from libs.pricing.time_band import ALL_DAY, EVERY_DAY, BandPart, TimeBand, minutes_of_week, parse_days, parse_hours
from libs.pricing.usage_price_reader import read_crossing
from libs.pricing.yaml_source import Node

# Each band takes the minutes of a week in memory, and more than these nobody can explain to a customer.
TIME_BANDS_MAX = 100
_NEVER_READ = EffectiveFrom.at(datetime(1, 1, 1, tzinfo=UTC))
BOOK_TERMS = ("format", "home_networks", "time_zone", "zones", "time_bands", "holidays", "roaming_zones", "rounding", "crossing")


def read_rate_book(tree: Node, reader: Reader) -> RateBook:
    """The book of a tree; worthless when the reader has faults afterwards."""
    fields = reader.fields(tree, ("id", "effective_from", "currency", "offerings"), BOOK_TERMS)
    format = reader.value(fields.get("format"), parse_format, FIRST_FORMAT)
    home_networks = read_home_networks(tree, fields.get("home_networks"), format, reader)
    zone = reader.value(fields.get("time_zone"), _parse_time_zone, ZoneInfo("UTC"))
    zones = {name: read_prefixes(node, reader) for name, node in reader.named(fields.get("zones"), "[prefixes]").items()}
    roaming = reader.named(fields.get("roaming_zones"), "[network codes]")
    roaming_zones = {name: read_prefixes(node, reader, parse_network_code) for name, node in roaming.items()}
    holidays = read_holidays(fields.get("holidays"), reader)
    bands = _read_time_bands(fields.get("time_bands"), holidays, reader)
    # Without its prefixes a zone would only seem to tie with others.
    sound_names = not reader.faults
    currency = reader.value(fields.get("currency"), _parse_currency, "")
    terms = BookTerms(
        reader,
        rate_book=reader.identifier(fields.get("id")),
        currency=currency,
        zones=zones,
        bands=bands,
        roaming_zones=roaming_zones,
        holidays=holidays,
        rounding=read_rounding(fields.get("rounding"), DEFAULT_ROUNDING, currency, reader),
        splits=read_crossing(fields.get("crossing"), reader, default=False),
        home_networks=home_networks,
    )
    offerings = {
        name: read_offering(name, node, replace(terms, declared={}), sound_names=sound_names)
        for name, node in reader.named(fields.get("offerings"), "{usage_prices}").items()
    }
    refuse_different_shares((allowance for offering in offerings.values() for allowance in offering.allowances), terms)
    return RateBook(
        id=terms.rate_book,
        takes_effect=reader.value(fields.get("effective_from"), partial(parse_effective_from, zone=zone, format=format), _NEVER_READ),
        currency=terms.currency,
        offerings=offerings,
        place=fields.get("id", tree).place,
        format=format,
        home_networks=home_networks,
        time_zone=zone,
    )


def _read_time_bands(node: Node | None, holidays: Mapping[str, frozenset[int]], reader: Reader) -> dict[str, TimeBand]:
    nodes = reader.named(node, "{days, hours}")
    if node is not None and len(nodes) > TIME_BANDS_MAX:
        reader.refuse(node, f"{len(nodes)} time bands", f"use at most {TIME_BANDS_MAX}")
        return {}
    return {name: TimeBand(name, tuple(_read_band_parts(part, holidays, reader))) for name, part in nodes.items()}


def _read_band_parts(node: Node, holidays: Mapping[str, frozenset[int]], reader: Reader) -> Iterator[BandPart]:
    for part in reader.items(node):
        fields = reader.fields(part, (), ("days", "hours", "holidays", "except_holidays"))
        days = [reader.value(item, parse_days, EVERY_DAY) for item in reader.items(fields.get("days"))] or [EVERY_DAY]
        hours = [reader.value(item, parse_hours, ALL_DAY) for item in reader.items(fields.get("hours"))] or [ALL_DAY]
        if "holidays" in fields and "except_holidays" in fields:
            reader.refuse(fields["except_holidays"], "both `holidays` and `except_holidays` are given", "keep one of the two")
        on, off = (_read_calendar(fields.get(key), holidays, reader) for key in ("holidays", "except_holidays"))
        for span in hours:
            yield replace(minutes_of_week(frozenset().union(*days), span), holidays=on, except_holidays=off)


def _read_calendar(node: Node | None, holidays: Mapping[str, frozenset[int]], reader: Reader) -> str | None:
    return reader.reference(node, {name: name for name in holidays}, "holiday calendar")


def _parse_currency(text: str) -> str:
    try:
        minor_unit_decimals(text)
    except UnknownCurrency as error:
        raise Unreadable(str(error), currency_remedy(text) or "use a code such as EUR or USD") from None
    return text


def _parse_time_zone(text: str) -> ZoneInfo:
    try:
        return time_zone(text)
    except UnknownTimeZone as error:
        raise Unreadable(str(error), "look it up in the time zone database") from None
