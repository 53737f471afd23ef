"""What part of a fee's period is due: measured by what remains of the period at each boundary within it.

At the beginning of a period all of it remains, 1; at its end nothing. What lies between two boundaries costs the difference, so
the parts of a period add up to it, and a fee in arrears is what a fee in advance leaves after its credit. Days are local ones.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from libs.periods import Period, first_moment, last_date, local_date
from libs.pricing.recurring_period import FeePeriod
from libs.pricing.recurring_price import Boundary, Prorating, RecurringPrice

DAYS_OF_A_FIXED_MONTH = 30
NOTHING, ALL = Fraction(0), Fraction(1)
_SECOND = timedelta(seconds=1)
# What instants are kept to.
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A product's time with an offering, half-open; no end means that it lasts. `started_by` and `ended_by` say at which boundaries.

    `activated_at` is when the product itself began. Suspensions are [start, end) in order; the last may have no end.
    """

    activated_at: datetime
    start: datetime
    end: datetime | None = None
    started_by: Boundary = Boundary.START
    ended_by: Boundary = Boundary.END
    suspensions: tuple[tuple[datetime, datetime | None], ...] = ()

    def lasts_into(self, period: Period) -> bool:
        """Whether it has a moment within the period."""
        return self.start < period.end and (self.end is None or self.end > period.start)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a period that is due: `fraction` of the price's amount for `period`, what was suspended taken off.

    `told` says it for the bill, as in `22 of 31 days`; nothing for a whole period.
    """

    period: Period
    fraction: Fraction
    told: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self.fraction == 1


@dataclass(frozen=True, slots=True)
class _Moment:
    """A boundary within a period: where it counts, how much of the period remains there, and how that was measured."""

    at: datetime
    remaining: Fraction
    by: Prorating | None = None


def share_of(price: RecurringPrice, subscription: Subscription, fee_period: FeePeriod, zone_name: str) -> Share | None:
    """What is due of the period; None when nothing is."""
    whole = fee_period.lived(zone_name)
    is_held = subscription.start <= whole.start and (subscription.end is None or subscription.end >= whole.end)
    if is_held and not subscription.suspensions and price.after is None and price.for_first is None:
        return Share(whole, ALL)
    scale = _Scale(price, fee_period, whole, zone_name)
    start, end = _held(price, subscription, scale)
    if start.at >= end.at or start.remaining <= end.remaining:
        return None
    suspended = NOTHING
    since = start
    for begins, ends in subscription.suspensions:
        since = max(since, scale.at(begins, Boundary.CHANGE), key=lambda moment: moment.at)
        until = end if ends is None else min(end, scale.at(ends, Boundary.CHANGE), key=lambda moment: moment.at)
        if since.at < until.at:
            suspended += _clamped(since, start, end) - _clamped(until, start, end)
            since = until
    served = start.remaining - end.remaining
    if served == 1 and not suspended:
        return Share(whole, served)
    fraction = served - suspended * (1 - Fraction(price.suspended_percent) / 100)
    if fraction == 0:
        return None
    free = suspended if price.suspended_percent != 100 else NOTHING
    return Share(Period(start=start.at, end=end.at), fraction, scale.told(served, free, start, end))


def _clamped(moment: _Moment, start: _Moment, end: _Moment) -> Fraction:
    """What remains at a moment between two: measured otherwise, it may seem to be more than at the first or less than at the last."""
    return min(max(moment.remaining, end.remaining), start.remaining)


def _held(price: RecurringPrice, subscription: Subscription, scale: "_Scale") -> tuple[_Moment, _Moment]:
    """Where the price begins and ends within the period: with the subscription, or with the price's own time of it."""
    got_on = local_date(subscription.start, scale.zone_name)
    start, end = scale.at(subscription.start, subscription.started_by), _Moment(scale.whole.end, NOTHING)
    if price.after is not None:
        start = max(start, scale.on(price.after.after(got_on)), key=lambda moment: moment.at)
    if subscription.end is not None:
        end = scale.at(subscription.end, subscription.ended_by)
    if price.for_first is not None:
        end = min(end, scale.on(price.for_first.after(got_on)), key=lambda moment: moment.at)
    return start, end


@dataclass(frozen=True, slots=True)
class _Scale:
    """Measures what remains of one period."""

    price: RecurringPrice
    fee_period: FeePeriod
    whole: Period
    zone_name: str

    def at(self, instant: datetime, boundary: Boundary) -> _Moment:
        """A boundary at an instant. The day of a start and of an end are due; that of a change counts for what comes after."""
        if instant <= self.whole.start:
            return _Moment(self.whole.start, ALL)
        if instant >= self.whole.end:
            return _Moment(self.whole.end, NOTHING)
        by = self.price.proration.at(boundary)
        match by:
            case Prorating.NONE:
                # The period stays with what it began with; only a product that starts has nothing before it.
                return _Moment(self.whole.start, ALL) if boundary is Boundary.START else _Moment(self.whole.end, NOTHING)
            case Prorating.BY_SECOND:
                left = (self.whole.end - instant) // _MILLISECOND
                return _Moment(instant, Fraction(left, (self.whole.end - self.whole.start) // _MILLISECOND), by)
            case Prorating.BY_DAY | Prorating.FIXED_30:
                ends = boundary is Boundary.END
                day = last_date(instant, self.zone_name) + timedelta(days=1) if ends else local_date(instant, self.zone_name)
                return self._from_day(day, by)

    def on(self, day: date) -> _Moment:
        """A change at the beginning of a day."""
        return self.at(first_moment(day, self.zone_name), Boundary.CHANGE)

    def told(self, served: Fraction, free: Fraction, start: _Moment, end: _Moment) -> str:
        """The share in words, where all of it was measured alike."""
        by = {moment.by for moment in (start, end) if 0 < moment.remaining < 1}
        by |= {self.price.proration.change} if free else set()
        if not by:
            return ""
        if len(by) > 1:
            return "part of a period"
        count, unit = self._counted(by.pop())
        words = []
        if served != 1 or free:
            words.append(f"{_number(served * count)} of {_number(count)} {unit}")
        if free:
            words.append(f"{_number(free * count)} suspended")
        return ", ".join(words)

    def _from_day(self, day: date, by: Prorating) -> _Moment:
        left, days = (self.fee_period.beyond - day).days, self.fee_period.days
        if left >= days:
            return _Moment(self.whole.start, ALL)
        if left <= 0:
            return _Moment(self.whole.end, NOTHING)
        if by is Prorating.FIXED_30:
            days = DAYS_OF_A_FIXED_MONTH * self.price.period.months
        return _Moment(first_moment(day, self.zone_name), Fraction(min(left, days), days), by)

    def _counted(self, by: Prorating | None) -> tuple[Fraction, str]:
        match by:
            case Prorating.BY_SECOND:
                return Fraction((self.whole.end - self.whole.start) // _MILLISECOND, _SECOND // _MILLISECOND), "s"
            case Prorating.FIXED_30:
                return Fraction(DAYS_OF_A_FIXED_MONTH * self.price.period.months), "days"
            case _:
                return Fraction(self.fee_period.days), "days"


def _number(value: Fraction) -> str:
    return str(value.numerator // value.denominator)
