"""Holiday calendars: named lists of dates, each a day of the account's own local time."""

import re
from datetime import date

from libs.pricing.faults import Unreadable
from libs.pricing.reader import Reader
from libs.pricing.remedies import date_remedy
from libs.pricing.yaml_source import Node

# A century of a country's holidays; and each combination of calendars that falls on one day takes a day of minutes in memory.
DATES_MAX = 2_000
CALENDARS_MAX = 20

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def read_holidays(node: Node | None, reader: Reader) -> dict[str, frozenset[int]]:
    """The days of each calendar, counted from 0001-01-01."""
    nodes = reader.named(node, "[dates]")
    if node is not None and len(nodes) > CALENDARS_MAX:
        reader.refuse(node, f"{len(nodes)} holiday calendars", f"use at most {CALENDARS_MAX}")
        return {}
    return {name: _read_dates(part, reader) for name, part in nodes.items()}


def _read_dates(node: Node, reader: Reader) -> frozenset[int]:
    items = reader.items(node)
    if len(items) > DATES_MAX:
        reader.refuse(node, f"{len(items)} dates", f"use at most {DATES_MAX}")
        return frozenset()
    days: set[int] = set()
    for item in items:
        day = reader.value(item, _parse_day, None)
        if day in days:
            reader.refuse(item, f"{date.fromordinal(day + 1)} is listed twice", "remove one of the two")
        elif day is not None:
            days.add(day)
    return frozenset(days)


def _parse_day(text: str) -> int:
    if not _DATE.fullmatch(text):
        raise Unreadable(f"{text[:80]!r} is not a date", date_remedy(text) or "write it as 2026-12-25")
    try:
        return date.fromisoformat(text).toordinal() - 1
    except ValueError:
        raise Unreadable(f"{text!r} is not a day of the calendar", "check month and day") from None
