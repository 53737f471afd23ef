"""Minimum commitments: which part of one is due, and what is missing to it."""

from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from libs.money import round_to_minor_unit, to_minor_units
from libs.periods import Period, last_date, local_date


def due_share(period: Period, started_at: datetime, ended_at: datetime | None, zone_name: str) -> Fraction:
    """The part of a period's local days on which a product lived; its first and its last day count whole."""
    start = max(period.start, started_at)
    end = period.end if ended_at is None else min(period.end, ended_at)
    if start >= end:
        return Fraction(0)
    return Fraction(_day_count(start, end, zone_name), _day_count(period.start, period.end, zone_name))


def missing(minimum: Decimal, share: Fraction, spent: int, currency: str) -> int:
    """What lacks to the share of the minimum, in minor units, when `spent` minor units are billed: 0 or more.

    The minimum is rounded on its own, and the rounded charges are taken from it: the bill shows both, and adds up.
    """
    due = round_to_minor_unit(Fraction(minimum) * share, currency)
    return max(0, to_minor_units(due, currency) - spent)


def _day_count(start: datetime, end: datetime, zone_name: str) -> int:
    return (last_date(end, zone_name) - local_date(start, zone_name)).days + 1
