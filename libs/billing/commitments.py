"""Minimum commitments: which part of one is due, and what is missing to it."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from libs.money import minor_unit_decimals, round_to_minor_unit
from libs.periods import Period, time_zone

_MOMENT = timedelta(milliseconds=1)


def due_share(period: Period, started_at: datetime, ended_at: datetime | None, zone_name: str) -> Fraction:
    """The part of a period's local days on which a product lived; its first and its last day count whole."""
    start = max(period.start, started_at)
    end = period.end if ended_at is None else min(period.end, ended_at)
    if start >= end:
        return Fraction(0)
    days = (_day(end - _MOMENT, zone_name) - _day(start, zone_name)).days + 1
    return Fraction(days, (_day(period.end - _MOMENT, zone_name) - _day(period.start, zone_name)).days + 1)


def missing(minimum: Decimal, share: Fraction, spent: int, currency: str) -> int:
    """What lacks to the share of the minimum, in minor units, when `spent` minor units are billed: 0 or more.

    The minimum is rounded on its own, and the rounded charges are taken from it: the bill shows both, and adds up.
    """
    due = round_to_minor_unit(Fraction(minimum) * share, currency)
    return max(0, int(Fraction(due) * 10 ** minor_unit_decimals(currency)) - spent)


def _day(instant: datetime, zone_name: str) -> date:
    return instant.astimezone(time_zone(zone_name)).date()
