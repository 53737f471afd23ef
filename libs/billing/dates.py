"""The dates of a bill, by the calendar of the account's time zone."""

from datetime import datetime, time, timedelta
from functools import lru_cache

from libs.periods import Period, month_containing, time_zone, to_utc_milliseconds

# Ten years: beyond it somebody mistyped, and no ledger waits longer.
PAYMENT_DUE_DAYS_MAX = 3650


def payment_due(bill_date: datetime, due_days: int, zone_name: str) -> datetime:
    """The last second of the day on which payment is due, so that paying on that day is paying in time."""
    zone = time_zone(zone_name)
    due_day = bill_date.astimezone(zone).date() + timedelta(days=due_days)
    # fold=1: where clocks go back at midnight, 23:59:59 happens twice and the day ends with the second.
    return to_utc_milliseconds(datetime.combine(due_day, time(23, 59, 59, fold=1), tzinfo=zone))


def next_bill(period: Period, zone_name: str) -> datetime:
    """When the period after `period` ends: the next month's end for a calendar month, else as many days again."""
    return _next_bill(period.start, period.end, zone_name)


# A bill run asks for the same one again and again.
@lru_cache(maxsize=1024)
def _next_bill(starts: datetime, ends: datetime, zone_name: str) -> datetime:
    zone = time_zone(zone_name)
    month = month_containing(starts, zone_name)
    if (starts, ends) == (month.start, month.end):
        return month_containing(ends, zone_name).end
    start, end = (instant.astimezone(zone).replace(tzinfo=None) for instant in (starts, ends))
    return to_utc_milliseconds((end + (end - start)).replace(tzinfo=zone))
