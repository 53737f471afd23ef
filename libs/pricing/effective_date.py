"""When a rate book takes effect: a date (its first midnight in the book's time zone) or an instant with its offset."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from libs.periods import to_utc_milliseconds
from libs.pricing.faults import Unreadable

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_effective_from(text: str, zone: ZoneInfo) -> datetime:
    """The instant in UTC. Raises Unreadable."""
    if not (_DATE.fullmatch(text) or _INSTANT.fullmatch(text)):
        raise Unreadable(f"{text[:80]!r} is neither a date nor an instant", "write 2026-03-01 or 2026-03-01T00:00:00+01:00")
    try:
        at = datetime.fromisoformat(text)
        return to_utc_milliseconds(at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{text!r} is not a day or time of the calendar", "check month, day and hour") from None
