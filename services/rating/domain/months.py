"""The billing month of an instant: the account's calendar month, in its time zone, in which the instant lies."""

from dataclasses import dataclass
from datetime import datetime

from libs.periods import Period, month_containing, time_zone


@dataclass(frozen=True, slots=True)
class BillingMonth:
    """A calendar month in one zone; `label` is its first local day, `2026-03-01`. Half-open."""

    label: str
    start: datetime
    end: datetime


def label_of(period: Period, zone_name: str) -> str:
    """The first local day of a period: what names it in charge ids and counts of cuts."""
    return label_at(period.start, zone_name)


def label_at(start: datetime, zone_name: str) -> str:
    """The label of a period by its first instant."""
    return start.astimezone(time_zone(zone_name)).date().isoformat()


class BillingMonths:
    """Months by zone for one batch: usage of a batch is mostly of one month, so the last one found usually fits."""

    def __init__(self) -> None:
        self._latest: dict[str, BillingMonth] = {}

    def containing(self, instant: datetime, zone_name: str) -> BillingMonth:
        """The month of that zone in which the instant lies."""
        month = self._latest.get(zone_name)
        if month is not None and month.start <= instant < month.end:
            return month
        period = month_containing(instant, zone_name)
        month = BillingMonth(label_of(period, zone_name), period.start, period.end)
        self._latest[zone_name] = month
        return month
