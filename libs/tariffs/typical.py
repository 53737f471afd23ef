"""Ordinary usages of a customer, made for the usage types, zones and networks that a rate book knows: to see what they would cost.

The home country is that of the book's time zone; where it has none (UTC), the country that most called prefixes belong to.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
from phonenumbers.timezone import time_zones_for_number

from libs.contracts import UsageReceived
from libs.periods import first_moment, local_date
from libs.pricing.network_code import VISITED_NETWORK
from libs.pricing.rate_book import Offering, RateBook

# Where nobody has a price by accident, and where an operator most likely forgot one.
FAR_NETWORKS = {"US": ("310410", "the USA"), "JP": ("440100", "Japan")}
MORNING, EVENING = timedelta(hours=10), timedelta(hours=21, minutes=30)
QUANTITIES = {
    "s": ("180", "3 min"),
    "byte": ("100000000", "100 MB"),
    "message": ("1", "1 message"),
    "event": ("1", "1 event"),
    "money": ("100", "100"),
}


@dataclass(frozen=True, slots=True)
class TypicalUsage:
    """A usage with what it is in words."""

    words: str
    usage: UsageReceived


def typical_usages(book: RateBook, offering: Offering) -> list[TypicalUsage]:
    """Return ordinary usages of each usage type of an offering, in the first weeks of its book."""
    units = {price.match.usage_type: price.unit for price in offering.usage_prices}
    calls = {price.match.usage_type for price in offering.usage_prices if price.match.called}
    found: list[TypicalUsage] = []
    for usage_type, unit in units.items():
        for words, called, starts, network in _occasions(book, offering, usage_type, by_number=usage_type in calls):
            found.append(_usage(len(found), usage_type, unit, words, called, starts, network))
    return found


_Occasion = tuple[str, str | None, datetime, str | None]


def _occasions(book: RateBook, offering: Offering, usage_type: str, *, by_number: bool) -> Iterator[_Occasion]:
    monday = _first_monday(book)
    home = _home_region(book, offering) if by_number else None
    national = _number(home, PhoneNumberType.FIXED_LINE) if home else None
    yield "at home", national, monday + MORNING, None
    if by_number and home:
        yield "at home, to a mobile", _number(home, PhoneNumberType.MOBILE), monday + MORNING, None
    if offering.week.count > 1:
        yield "at home, in the evening", national, monday + EVENING, None
        yield "at home, on Saturday", national, monday + timedelta(days=5) + MORNING, None
    if by_number:
        for region in _foreign_regions(offering, home):
            yield f"at home, to {region}", _number(region, PhoneNumberType.MOBILE), monday + MORNING, None
        premium = _number(home, PhoneNumberType.PREMIUM_RATE) if home and usage_type == "voice" else None
        if premium:
            yield "at home, to a premium number", premium, monday + MORNING, None
    far, far_words = FAR_NETWORKS[next(region for region in FAR_NETWORKS if region != _home_region(book, offering))]
    for network in _networks(offering, usage_type):
        if not far.startswith(network):
            yield f"roaming in network {network}", national, monday + MORNING, network
    yield f"roaming in {far_words}", national, monday + MORNING, far


def _usage(number: int, usage_type: str, unit: str, words: str, called: str | None, starts: datetime, network: str | None) -> TypicalUsage:
    quantity, told = QUANTITIES[unit]
    usage = UsageReceived(
        id=f"typical-{number}",
        identifier="typical",
        usage_type=usage_type,
        started_at=starts,
        quantity=Decimal(quantity),
        unit=unit,
        called_number=called,
        characteristics={} if network is None else {VISITED_NETWORK: network},
    )
    return TypicalUsage(f"{usage_type}, {told} {words}" + (f" ({called})" if called else ""), usage)


def _first_monday(book: RateBook) -> datetime:
    """Midnight of the first Monday on which the book is in effect for everybody."""
    day = local_date(book.takes_effect.latest, book.time_zone.key) + timedelta(days=1)
    return first_moment(day + timedelta(days=-day.weekday() % 7), book.time_zone.key)


def _home_region(book: RateBook, offering: Offering) -> str | None:
    regions = _regions_of_zones().get(book.time_zone.key)
    if regions is not None:
        return regions
    counted = Counter(region for price in offering.usage_prices for prefix in price.match.called if (region := _region(prefix)))
    return counted.most_common(1)[0][0] if counted else None


@lru_cache(1)
def _regions_of_zones() -> dict[str, str]:
    """The country of each time zone, as far as an example of its numbers tells."""
    found: dict[str, str] = {}
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        example = phonenumbers.example_number_for_type(region, PhoneNumberType.FIXED_LINE)
        for zone in time_zones_for_number(example) if example else ():
            found.setdefault(zone, region)
    return found


def _region(prefix: str) -> str | None:
    """The country whose code a prefix begins with."""
    digits = prefix.removeprefix("+")
    for length in (1, 2, 3):
        code = digits[:length]
        if prefix.startswith("+") and code and int(code) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[int(code)][0]
            return region if region != "001" else None
    return None


def _foreign_regions(offering: Offering, home: str | None) -> list[str]:
    """A country that the prices name, and one that is far away."""
    named = [region for price in offering.usage_prices for prefix in price.match.called if (region := _region(prefix)) and region != home]
    near = list(dict.fromkeys(named))[:1]
    return [*near, *[region for region in FAR_NETWORKS if region not in (home, *near)][:1]]


def _networks(offering: Offering, usage_type: str) -> list[str]:
    """The first network of each price of a usage type that is for networks."""
    first = [price.match.networks[0] for price in offering.usage_prices if price.match.usage_type == usage_type and price.match.networks]
    return list(dict.fromkeys(first))


def _number(region: str, kind: int) -> str | None:
    example = phonenumbers.example_number_for_type(region, kind)
    return phonenumbers.format_number(example, PhoneNumberFormat.E164) if example else None
