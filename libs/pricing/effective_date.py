"""When a rate book takes effect: at an instant, or at each account's own midnight.

An instant is the same for everybody. A date in a book of the current format is the first moment of that day in the zone of each
account, so that the book takes effect zone by zone within 26 hours. A date in a book of the first format is an instant: its first
midnight in the book's own zone.
"""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from msgspec import Struct

from libs.periods import first_moment, to_utc_milliseconds
from libs.pricing.book_format import CURRENT_FORMAT
from libs.pricing.faults import Unreadable
from libs.pricing.remedies import date_remedy

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)
# The first and the last zones in which a day begins.
_FIRST_MIDNIGHT = -timedelta(hours=14)
_LAST_MIDNIGHT = timedelta(hours=12)
_MIDNIGHTS_REMEMBERED_MAX = 10_000


class EffectiveFrom(Struct, frozen=True, gc=False):
    """`earliest` and `latest` are the instants, in UTC, between which it takes effect for everybody; one and the same where `day` is None.

    Raises UnknownTimeZone where it is asked for a zone that there is not.
    """

    earliest: datetime
    latest: datetime
    day: date | None = None

    @classmethod
    def at(cls, instant: datetime) -> "EffectiveFrom":
        """For everybody at one instant."""
        return cls(instant, instant)

    @classmethod
    def on(cls, day: date) -> "EffectiveFrom":
        """At each account's own midnight. Raises OverflowError at the ends of the calendar."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return cls(midnight + _FIRST_MIDNIGHT, midnight + _LAST_MIDNIGHT, day)

    def in_zone(self, time_zone: str) -> datetime:
        """Return the instant at which it takes effect for accounts of a zone."""
        # Clocks of the nineteenth century were farther from UTC.
        return self.earliest if self.day is None else min(max(self.earliest, _midnight(self.day, time_zone)), self.latest)

    def holds(self, at: datetime, time_zone: str) -> bool:
        """Return whether it is in effect at an instant for accounts of a zone."""
        if at >= self.latest:
            return True
        return self.day is not None and at >= self.earliest and at >= self.in_zone(time_zone)

    def may_precede(self, other: "EffectiveFrom") -> bool:
        """Return whether it takes effect before another for accounts of any one zone."""
        if self.day is not None and other.day is not None:
            return self.day < other.day
        return self.earliest < other.latest

    def clashes(self, other: "EffectiveFrom") -> bool:
        """Return whether the zone of the account decides which of the two is later: one is a date, the other an instant on that day."""
        return (self.day is None) != (other.day is None) and self.earliest <= other.latest and other.earliest <= self.latest

    def __str__(self) -> str:
        return self.earliest.isoformat() if self.day is None else f"{self.day}, each account's midnight"


@lru_cache(_MIDNIGHTS_REMEMBERED_MAX)
def _midnight(day: date, time_zone: str) -> datetime:
    return first_moment(day, time_zone)


def parse_effective_from(text: str, zone: ZoneInfo, format: int) -> EffectiveFrom:
    """Return when a book of this format takes effect; `zone` is its own. Raises Unreadable."""
    if not (_DATE.fullmatch(text) or _INSTANT.fullmatch(text)):
        remedy = date_remedy(text) or "write 2026-03-01 or 2026-03-01T00:00:00+01:00"
        raise Unreadable(f"{text[:80]!r} is neither a date nor an instant", remedy)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None and format >= CURRENT_FORMAT:
            return EffectiveFrom.on(at.date())
        return EffectiveFrom.at(to_utc_milliseconds(at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC))
    except (ValueError, OverflowError):
        raise Unreadable(f"{text!r} is not a day or time of the calendar", "check month, day and hour") from None
