"""A usage that goes on while its price changes: over the end of a time band, midnight, a change of the clocks or a new rate book.

Where the book says `crossing: split`, it is divided at those instants. Its charged quantity is computed for the whole by the price at
its start, then allotted in order, so that rounding up falls to the last part; the parts of one price are one. What concerns the record
as a whole, its set-up fee, free first seconds, increments, minimum, maximum and rounding, is as the first price says. Time is counted
in milliseconds, as instants are. Only a usage counted in seconds has a known end; no other is ever split.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, Context
from math import lcm

from libs.contracts import RejectionReason, UsageReceived
from libs.pricing.compiled_price import CONTINUATION, CONTINUES, NUMERATOR_MAX, CompiledPrice, PricedUsage, rescaled, settle
from libs.pricing.local_time import CALENDAR_END
from libs.pricing.refusal import RejectedUsage

MILLISECOND_DECIMALS = 3
MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
# Three years of four time bands a day: nothing that goes on for longer is one usage.
STRETCHES_MAX = 5_000

_UP = Context(prec=100, rounding=ROUND_CEILING)

# The price of the usage at an instant, and until when it certainly stays the same.
PriceAt = Callable[[datetime], tuple[CompiledPrice | RejectedUsage, datetime]]


def ends_before(usage: UsageReceived, until: datetime) -> bool:
    """Whether a usage certainly ends by then: the quick answer for nearly all of them. `until` is not before it starts."""
    return int(usage.quantity) < (until - usage.started_at) // SECOND


def price_in_parts(usage: UsageReceived, first: CompiledPrice, price_at: PriceAt) -> PricedUsage | RejectedUsage:
    """Price a usage whose price at its start is `first`, by each price for its part of it."""
    duration = int(_UP.to_integral_value(_UP.scaleb(usage.quantity, MILLISECOND_DECIMALS)))
    if duration > (CALENDAR_END - usage.started_at) // MILLISECOND:
        return first.price(usage) if usage.started_at >= CALENDAR_END else _never_ends()
    stretches = _stretches(usage.started_at, duration, price_at)
    if isinstance(stretches, RejectedUsage):
        return stretches
    if all(price is first for price, _ in stretches):
        return first.price(usage)
    return _price_stretches(usage, stretches)


def _stretches(start: datetime, duration: int, price_at: PriceAt) -> list[tuple[CompiledPrice, int]] | RejectedUsage:
    """Each price with the millisecond of the usage at which it ends."""
    stretches: list[tuple[CompiledPrice, int]] = []
    at, end = start, start + duration * MILLISECOND
    for _ in range(STRETCHES_MAX):
        price, until = price_at(at)
        if isinstance(price, RejectedUsage):
            return price
        if stretches and stretches[-1][0] is price:
            stretches.pop()
        stretches.append((price, (min(until, end) - start) // MILLISECOND))
        if until >= end:
            return stretches
        at = until
    return _never_ends()


def _price_stretches(usage: UsageReceived, stretches: list[tuple[CompiledPrice, int]]) -> PricedUsage | RejectedUsage:
    prices = dict.fromkeys(price for price, _ in stretches)
    decimals = max(MILLISECOND_DECIMALS, *(price.decimals for price in prices))
    denominator = lcm(*(price.exact_denominator * 10 ** (decimals - price.decimals) for price in prices))
    first = stretches[0][0]
    common = {price: rescaled(price, decimals, denominator, denominator) for price in prices}
    if first.record_rounding is not None:
        common = {price: rescaled(price, decimals, denominator, first.denominator) for price in prices}
    whole = common[first]
    charged = whole.charged_steps(usage.quantity)
    parts: dict[CompiledPrice, list[tuple[int, int]]] = {first: []}
    at = 0
    for price, millisecond in stretches:
        elapsed = millisecond * 10 ** (decimals - MILLISECOND_DECIMALS)
        is_last = millisecond == stretches[-1][1]
        end = charged if is_last else min(charged, max(0, elapsed - whole.free_steps))
        if end > at:
            parts.setdefault(price, []).append((at, end))
            at = end
    continued = usage.characteristics.get(CONTINUATION) == CONTINUES
    priced = settle([(common[price], of_price) for price, of_price in parts.items()], continued=continued)
    if any(part.numerator > NUMERATOR_MAX for part in priced.parts):
        return RejectedUsage(RejectionReason.ABSURD_QUANTITY, "its parts have too many digits to be summed exactly")
    return priced


def _never_ends() -> RejectedUsage:
    return RejectedUsage(RejectionReason.ABSURD_QUANTITY, f"it goes on over more than {STRETCHES_MAX:,} ends of days and time bands")
