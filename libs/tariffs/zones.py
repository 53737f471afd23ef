"""Accounts for whom a rate book begins later than their own midnight, for they lie east of its zone."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from libs.pricing import Fault, RateBook
from libs.pricing.book_format import CURRENT_FORMAT
from libs.pricing.effective_date import EffectiveFrom


def zone_warnings(book: RateBook, accounts: Mapping[str, int]) -> Iterator[Fault]:
    """A warning where accounts begin the day of a book before the book does. `accounts` are counted by time zone."""
    if book.takes_effect.day is not None:
        return
    begins_at = book.effective_from.astimezone(book.time_zone)
    day = EffectiveFrom.on(begins_at.date())
    if begins_at.timetz().replace(tzinfo=None) != begins_at.min.time():
        return
    east = {zone: count for zone, count in accounts.items() if day.in_zone(zone) < book.effective_from}
    if east:
        first = min(east, key=lambda zone: day.in_zone(zone))
        hours = (book.effective_from - day.in_zone(first)).total_seconds() / 3600
        yield book.place.fault(
            f"{sum(east.values()):,} accounts lie east of {_name(book.time_zone)}: in {first} the day begins {hours:g} h before the book "
            "takes effect, and usage until then has the older price",
            f"write a date as `effective_from` in a book of format {CURRENT_FORMAT}: it is each account's own midnight",
        )


def _name(zone: ZoneInfo) -> str:
    return zone.key
