"""What recurring fees come to, written as plainly as can be and apart from the code that bills them.

It knows fees in whole calendar months, or months and years from the day of activation, prorated by local days.
"""

import calendar
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Plan:
    """How a fee is charged: `months` is the length of its periods, which begin with the calendar's or on the day of activation."""

    months: int
    in_advance: bool
    from_activation: bool


@dataclass(frozen=True)
class Version:
    """What the offerings cost from an instant on; those that are not named keep what they cost before."""

    since: datetime
    amounts: dict[str, Decimal]


@dataclass(frozen=True)
class Time:
    """A product's time with an offering; `ends_by_change` tells whether another offering follows."""

    offering: str
    start: datetime
    end: datetime | None
    ends_by_change: bool


@dataclass(frozen=True)
class Billed:
    """What was billed: all months up to `until`, of which the next one ends at `next_until`; what began before `since` elsewhere."""

    until: datetime
    next_until: datetime
    since: datetime | None = None


def fees_owed(
    plan: Plan, versions: Sequence[Version], times: Sequence[Time], zone: ZoneInfo, billed: Billed
) -> Counter[tuple[str, Fraction]]:
    """Count the amounts that were to be billed for each offering."""
    owed: Counter[tuple[str, Fraction]] = Counter()
    activated_on = times[0].start.astimezone(zone).date()
    for time in times:
        if time.start >= billed.until:
            continue
        for first, beyond in _periods(plan, activated_on, billed.next_until.astimezone(zone).date() + timedelta(days=1)):
            starts, ends = _midnight(first, zone), _midnight(beyond, zone)
            if ends <= time.start or (time.end is not None and time.end <= starts):
                continue
            is_over = ends <= billed.until or (time.end is not None and time.end <= billed.until)
            if not (starts < billed.next_until if plan.in_advance else is_over):
                continue
            if billed.since is not None and max(starts, time.start) < billed.since:
                continue
            amount = _amount(versions, time.offering, max(starts, time.start))
            days = _days(first, beyond, time, zone)
            if amount is not None and days > 0:
                owed[time.offering, Fraction(amount) * days / (beyond - first).days] += 1
    return owed


def _periods(plan: Plan, activated_on: date, until: date) -> Iterator[tuple[date, date]]:
    anchor = activated_on if plan.from_activation else activated_on.replace(day=1)
    number, first = 0, anchor
    while first < until:
        number += 1
        beyond = _months_after(anchor, number * plan.months)
        yield first, beyond
        first = beyond


def _months_after(day: date, count: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    return date(years, month + 1, min(day.day, calendar.monthrange(years, month + 1)[1]))


def _amount(versions: Sequence[Version], offering: str, at: datetime) -> Decimal | None:
    standing = [version for version in versions if version.since <= at and offering in version.amounts]
    return max(standing, key=lambda version: version.since).amounts[offering] if standing else None


def _days(first: date, beyond: date, time: Time, zone: ZoneInfo) -> int:
    begins = max(first, time.start.astimezone(zone).date())
    ends = beyond
    if time.end is not None:
        last = (time.end - timedelta(milliseconds=1)).astimezone(zone).date()
        ends = min(beyond, time.end.astimezone(zone).date() if time.ends_by_change else last + timedelta(days=1))
    return (ends - begins).days


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
