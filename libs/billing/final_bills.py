"""For how long a closed account is still billed: its last usage may come months after it, from roaming partners above all.

A run bills the accounts that are open, and those that were closed since `closed_since` of its period; most of them owe
nothing any more, and are skipped. What comes later still is on no bill: the audit reports it.
"""

from datetime import UTC, datetime, timedelta

from libs.periods import calendar_month

BILLED_AFTER_CLOSING = timedelta(days=92)


def closed_since(period: str) -> datetime:
    """Accounts closed at this instant or later are billed for the period. Raises ValueError for anything but YYYY-MM."""
    start = calendar_month(period, "UTC").start
    # The calendar begins with year 1.
    return start - min(BILLED_AFTER_CLOSING, start - datetime.min.replace(tzinfo=UTC))
