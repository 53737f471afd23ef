"""Quantities that last: what was stored or connected over a period counts by how many of its days it was there.

2,500 GB from the fifth of a month of 31 days are 2,500 x 27/31 GB-months. A change counts from the beginning of its local day.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from libs.periods import local_date
from libs.pricing.recurring_period import FeePeriod


def time_weighted_quantity(
    before: Decimal | int, changes: Iterable[tuple[datetime, Decimal | int]], fee_period: FeePeriod, zone_name: str
) -> Fraction:
    """The average over the days of a period: of what was there `before` it, and by how much that changed when within it."""
    total = Fraction(before) * fee_period.days
    for at, change in changes:
        day = max(local_date(at, zone_name), fee_period.first)
        total += Fraction(change) * max((fee_period.beyond - day).days, 0)
    return total / fee_period.days
