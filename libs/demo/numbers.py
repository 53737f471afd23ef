"""Telephone numbers of the demo: E.164, valid by their countries' plans, and nobody's.

Subscribers get numbers of the exchange 555 and those after it; called numbers come from the ranges that the regulators of
the United States, United Kingdom, France, Germany, Australia and Sweden reserve for fiction.
"""

from collections.abc import Sequence

SUBSCRIBERS_MAX = 9_999
EXCHANGE_FIRST = 555
EXCHANGE_LAST = 999
COHORTS_MAX = EXCHANGE_LAST - EXCHANGE_FIRST + 1

DOMESTIC_AREA_CODES = ("202", "206", "212", "213", "305", "312", "404", "415", "503", "512", "617", "702", "713", "808")
DOMESTIC_NUMBERS: Sequence[str] = tuple(f"+1{area}55501{line:02d}" for area in DOMESTIC_AREA_CODES for line in range(100))
INTERNATIONAL_NUMBERS: Sequence[str] = tuple(
    f"{prefix}{line:02d}"
    for prefix in ("+4420794600", "+331990012", "+4930231250", "+612555001", "+612701001", "+468465004", "+463139006")
    for line in range(100)
)


def subscriber_number(cohort: int, area_code: str, customer: int) -> str:
    """The number of a customer (from 1) of the demo's n-th cohort (from 1). No two customers share one.

    Raises ValueError beyond 9,999 customers or 445 cohorts, where the numbering ends.
    """
    if not 1 <= cohort <= COHORTS_MAX:
        raise ValueError(f"the demo has numbers for {COHORTS_MAX} cohorts, not for a {cohort}th")
    if not 1 <= customer <= SUBSCRIBERS_MAX:
        raise ValueError(f"the demo has numbers for {SUBSCRIBERS_MAX} customers, not for a {customer}th")
    return f"+1{area_code}{EXCHANGE_FIRST + cohort - 1}{customer:04d}"
