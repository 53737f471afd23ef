"""From which buckets a usage may draw, and in which order: those of the period in which it starts and those of earlier
periods that are still valid or rolled over.

How much a bucket was granted is said by the book that held when its period started, or else by the first usage's own;
everything else by the book that holds when the usage starts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from msgspec import Struct

from libs.pricing.allowance import Allowance, BurnOrder, Burns, Recurrence, Rollover, Shared
from libs.pricing.allowance_period import ALWAYS, EVER, GrantPeriod, days_after, period_before, period_containing, start_of_day
from libs.pricing.compiled_price import CompiledPrice

# A bucket is looked for in each of them, for every usage.
PERIODS_BACK_MAX = 12
DAYS_AT_LEAST = {Recurrence.DAY: 1, Recurrence.WEEK: 7, Recurrence.MONTH: 28}
_TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose usage it is: since when the product is theirs, the zone of their account, and the names of their buckets.

    `terms_at` is the allowance of that id as their offering has it at an instant; None when it has none then.
    """

    since: datetime
    time_zone: str
    terms_at: Callable[[str, datetime], Allowance | None]
    bucket_id: Callable[[Allowance, GrantPeriod], str]


class Source(Struct, frozen=True, gc=False):
    """A bucket that usage at one price may draw from. `amount` is what it was or will be granted; a step of the price takes
    `step_numerator / step_denominator`, or all steps of a usage together one, where it `is_whole`; `rolled` is there when it rolled
    over from an earlier period.

    A struct, for there is one of each for every customer.
    """

    bucket_id: str
    allowance: Allowance
    amount: Fraction
    period: GrantPeriod
    expires_at: datetime
    rolled: Rollover | None
    step_numerator: int
    step_denominator: int
    order: BurnOrder
    is_whole: bool = False


class Sources(Struct, frozen=True, gc=False):
    """In the order in which they are drawn from, for usage that starts from `start` until before `end`.

    Quantities come before money, which pays what is left to pay. `same_since`: whoever holds a product since then, or for longer, and
    was granted by the same book has the same sources, but for the names of the buckets. `is_selective` where called numbers matter.
    """

    quantities: tuple[Source, ...]
    money: tuple[Source, ...]
    start: datetime = ALWAYS
    end: datetime = EVER
    same_since: datetime = EVER
    is_selective: bool = False

    @property
    def all(self) -> tuple[Source, ...]:
        """Quantities and money."""
        return self.quantities + self.money

    def named(self, name: Callable[[Source], str]) -> "Sources":
        """The same with other names of buckets."""
        quantities, money = (tuple(_named(source, name(source)) for source in part) for part in (self.quantities, self.money))
        return Sources(quantities, money, self.start, self.end, self.same_since, self.is_selective)


NO_SOURCES = Sources((), ())


def _named(source: Source, bucket_id: str) -> Source:
    return Source(
        bucket_id,
        source.allowance,
        source.amount,
        source.period,
        source.expires_at,
        source.rolled,
        source.step_numerator,
        source.step_denominator,
        source.order,
        source.is_whole,
    )


@dataclass(frozen=True, slots=True)
class _Grant:
    """A grant with the time in which it can be drawn from."""

    amount: Fraction
    period: GrantPeriod
    opens_at: datetime
    expires_at: datetime
    rolled: Rollover | None = None


def find_sources(allowances: Iterable[Allowance], price: CompiledPrice, holder: Holder, at: datetime) -> Sources:
    """The sources for usage at this price that starts then. Raises UnknownTimeZone."""
    found: list[Source] = []
    start, end, same_since = ALWAYS, EVER, EVER
    for allowance in allowances:
        if not allowance.covers_price(price):
            continue
        current = period_containing(allowance.recurrence, at, holder.time_zone)
        start, end = max(start, current.start), min(end, current.end)
        grants, same_grants_since = _grants(allowance, current, holder, at)
        same_since = min(same_since, same_grants_since)
        for grant in grants:
            for turn in (grant.opens_at, grant.expires_at):
                start, end = (max(start, turn), end) if turn <= at else (start, min(end, turn))
            if grant.opens_at <= at < grant.expires_at:
                found.append(_source(allowance, grant, current, price, holder))
    found.sort(key=lambda source: source.order)
    return Sources(
        quantities=tuple(source for source in found if not source.allowance.is_money),
        money=tuple(source for source in found if source.allowance.is_money),
        start=start,
        end=end,
        same_since=same_since,
        is_selective=any(source.allowance.covers.called for source in found),
    )


def _source(allowance: Allowance, grant: _Grant, current: GrantPeriod, price: CompiledPrice, holder: Holder) -> Source:
    # What rolled over takes its place beside what its allowance grants anew.
    rank, expires_at = 1, grant.expires_at
    if grant.rolled is not None:
        rank, expires_at = (0 if grant.rolled.burns is Burns.FIRST else 2), _end(allowance, holder, current.end)
    is_whole = allowance.pays_whole(price)
    step = Fraction(1) if is_whole else allowance.taken_by_step(price)
    return Source(
        bucket_id=holder.bucket_id(allowance, grant.period),
        allowance=allowance,
        amount=grant.amount,
        period=grant.period,
        expires_at=grant.expires_at,
        rolled=grant.rolled,
        step_numerator=step.numerator,
        step_denominator=step.denominator,
        order=BurnOrder(allowance.priority, expires_at, rank, allowance.id, grant.period.start),
        is_whole=is_whole,
    )


def _grants(allowance: Allowance, current: GrantPeriod, holder: Holder, at: datetime) -> tuple[list[_Grant], datetime]:
    """The grants that may still be there, and since when a product may be held that has the same ones."""
    if allowance.recurrence is Recurrence.ONCE:
        grant = _grant_once(allowance, current, holder)
        if allowance.validity_days is None:
            return [grant], EVER
        return [grant], holder.since if grant.expires_at <= at else ALWAYS
    grants: list[_Grant] = []
    period = current
    for back in range(_periods_back(allowance) + 1):
        if back:
            period = period_before(allowance.recurrence, period, holder.time_zone)
        if period.end <= holder.since:
            return grants, ALWAYS
        terms = _terms(allowance, period, holder, is_current=back == 0)
        if terms is None:
            break
        granted_at = max(period.start, holder.since) if allowance.shared is Shared.PRODUCT else period.start
        if granted_at >= _end(allowance, holder, EVER):
            continue
        if allowance.validity_days is not None:
            until = days_after(granted_at, allowance.validity_days, holder.time_zone)
            grants.append(_Grant(terms.amount, period, granted_at, _end(allowance, holder, until)))
        elif back == 0:
            grants.append(_Grant(terms.amount, period, granted_at, _end(allowance, holder, period.end)))
        else:
            grants.append(_Grant(terms.amount, period, period.end, _end(allowance, holder, current.end), allowance.rollover))
    return grants, period.start if holder.since <= period.start else ALWAYS


def _grant_once(allowance: Allowance, period: GrantPeriod, holder: Holder) -> _Grant:
    if allowance.shared is not Shared.PRODUCT:
        return _Grant(allowance.amount, period, ALWAYS, _end(allowance, holder, EVER))
    terms = holder.terms_at(allowance.id, holder.since)
    amount = terms.amount if terms is not None and terms.unit == allowance.unit else allowance.amount
    if allowance.validity_days is None:
        return _Grant(amount, period, ALWAYS, _end(allowance, holder, EVER))
    until = days_after(holder.since, allowance.validity_days, holder.time_zone)
    return _Grant(amount, period, holder.since, _end(allowance, holder, until))


def _terms(allowance: Allowance, period: GrantPeriod, holder: Holder, *, is_current: bool) -> Allowance | None:
    """The allowance as it was granted for a period; None when there was none yet, or in another unit."""
    terms = holder.terms_at(allowance.id, period.start)
    if terms is None:
        terms = allowance if is_current else holder.terms_at(allowance.id, period.end - _TICK)
    return terms if terms is not None and terms.unit == allowance.unit else None


def _periods_back(allowance: Allowance) -> int:
    if allowance.rollover is not None:
        return allowance.rollover.lasts
    if allowance.validity_days is not None:
        return periods_valid(allowance.validity_days, allowance.recurrence)
    return 0


def periods_valid(days: int, recurrence: Recurrence) -> int:
    """How many periods ago a grant that is valid for so many days may have been made."""
    return -(-days // DAYS_AT_LEAST[recurrence]) if recurrence in DAYS_AT_LEAST else 0


def _end(allowance: Allowance, holder: Holder, end: datetime) -> datetime:
    return end if allowance.expires is None else min(end, start_of_day(allowance.expires, holder.time_zone))
