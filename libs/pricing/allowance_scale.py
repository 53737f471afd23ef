"""Prices that money allowances pay are counted over one common denominator, so that money pays them to the last fraction.

Money is drawn in whole numerators of a price: with 1 euro a second, 0.50 euro left would pay nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import lcm

from libs.pricing.allowance import Allowance
from libs.pricing.compiled_price import NUMERATOR_MAX, CompiledPrice, greatest_numerator, rescaled

# Where buckets are shared with prices of other offerings and books, no more than a millionth can be left over.
FINEST = 10**6


def counted_for_money(prices: Sequence[CompiledPrice], allowances: Iterable[Allowance]) -> list[CompiledPrice]:
    """The prices of an offering in their order; each by itself where all together have too many digits to be added exactly."""
    money = [allowance for allowance in allowances if allowance.is_money]
    # What is rounded for each record is paid in the decimals that it is rounded to.
    unrounded = [price for price in prices if price.record_rounding is None]
    paid = [price for price in unrounded if any(allowance.covers_price(price) for allowance in money)]
    if not paid:
        return list(prices)
    amounts = lcm(FINEST, *(allowance.amount.denominator for allowance in money))
    common = lcm(amounts, *(_denominator(price) for price in paid))
    together = {price: _over(price, common) for price in paid}
    if all(_can_be_added(price) for price in together.values()):
        return [together.get(price, price) for price in prices]
    return [_alone(price, amounts) if price in together else price for price in prices]


def _alone(price: CompiledPrice, amounts: int) -> CompiledPrice:
    finer = _over(price, lcm(amounts, _denominator(price)))
    return finer if _can_be_added(finer) else price


def _denominator(price: CompiledPrice) -> int:
    return lcm(price.denominator, price.exact_denominator)


def _over(price: CompiledPrice, denominator: int) -> CompiledPrice:
    # A price that multiplies steps by one number still does.
    return replace(rescaled(price, price.decimals, denominator, denominator), is_plain=price.is_plain)


def _can_be_added(price: CompiledPrice) -> bool:
    return greatest_numerator(price) <= NUMERATOR_MAX
