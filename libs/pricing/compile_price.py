"""Turns a usage price as the book says it into integers: one scale for all its quantities, one denominator for all its amounts."""

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from math import lcm

from libs.pricing.compiled_price import CompiledPrice, Rung
from libs.pricing.exact_number import ExactNumber
from libs.pricing.tiers import scaled
from libs.pricing.usage_price import Rate, Step, Tiers, UsagePrice


def compile_price(price: UsagePrice, currency: str, rate_book: str, *, is_tax_included: bool = False) -> CompiledPrice:
    """The price as integers."""
    model = price.model
    rates = _rates(model)
    by_record = model if isinstance(model, Tiers) and model.counted_by_record else None
    decimals = max(_decimals(_quantities(price)), _tier_decimals(by_record) if by_record else 0)
    limits = [limit for limit in (price.minimum, price.maximum) if limit is not None]
    money_decimals = max(
        _decimals([price.setup_fee, *limits, *(rate.amount for rate in rates)]), _tier_money_decimals(by_record) if by_record else 0
    )
    per = lcm(*(rate.per.count.digits for rate in rates), *(_tier_pers(by_record) if by_record else ()))
    exact_denominator = 10**money_decimals * per * 10**decimals

    def per_step(rate: Rate) -> int:
        return rate.amount.scaled(money_decimals) * 10**rate.per.count.decimals * (per // rate.per.count.digits)

    def of_record(amount: ExactNumber) -> int:
        return amount.scaled(money_decimals) * per * 10**decimals

    rounding = price.record_rounding
    is_plain = by_record is None and not isinstance(model, tuple) and not limits and rounding is None
    return CompiledPrice(
        price_id=price.id,
        description=price.description,
        usage_type=price.match.usage_type,
        unit=price.unit,
        currency=currency,
        tax_category=price.tax_category,
        rate_book=rate_book,
        decimals=decimals,
        first=price.increments.first.scaled(decimals),
        then=price.increments.then.scaled(decimals),
        numerator_per_step=per_step(model) if isinstance(model, Rate) else 0,
        setup_numerator=of_record(price.setup_fee),
        denominator=exact_denominator if rounding is None else 10**rounding.decimals,
        exact_denominator=exact_denominator,
        is_plain=is_plain,
        is_proportional=is_plain and price.setup_fee.digits == 0,
        is_uneven=isinstance(model, tuple) or price.free_first.digits > 0,
        splits=price.splits,
        tiers=model.terms if isinstance(model, Tiers) and by_record is None else None,
        late_restarts=isinstance(model, Tiers) and model.late_restarts,
        line_rounding=price.line_rounding,
        is_tax_included=is_tax_included,
        record_tiers=scaled(by_record.terms, steps_per_unit=10**decimals, numerators_per_amount=exact_denominator) if by_record else None,
        rungs=tuple(_rungs(model, decimals, per_step)) if isinstance(model, tuple) else (),
        free_steps=price.free_first.scaled(decimals),
        minimum=None if price.minimum is None else of_record(price.minimum),
        maximum=None if price.maximum is None else of_record(price.maximum),
        record_rounding=rounding,
        is_abroad=price.match.is_abroad,
    )


def _rates(model: Rate | tuple[Step, ...] | Tiers) -> tuple[Rate, ...]:
    if isinstance(model, Rate):
        return (model,)
    return () if isinstance(model, Tiers) else tuple(step.rate for step in model)


def _quantities(price: UsagePrice) -> Iterator[ExactNumber]:
    yield from (price.increments.first, price.increments.then, price.free_first)
    if isinstance(price.model, tuple):
        for step in price.model:
            yield from (step.start, step.increments.first, step.increments.then)


def _rungs(steps: tuple[Step, ...], decimals: int, per_step: Callable[[Rate], int]) -> Iterator[Rung]:
    charged_start = 0
    for step, after in zip(steps, (*steps[1:], None), strict=True):
        rung = Rung(
            start=step.start.scaled(decimals),
            end=None if after is None else after.start.scaled(decimals),
            first=step.increments.first.scaled(decimals),
            then=step.increments.then.scaled(decimals),
            numerator_per_step=per_step(step.rate),
            charged_start=charged_start,
        )
        yield rung
        if rung.end is not None:
            charged_start += rung.charged_in(rung.end)


def _tier_decimals(tiers: Tiers) -> int:
    bounds = (bound for tier in tiers.terms.tiers for bound in (tier.up_to, tier.increment) if bound is not None)
    return max(_decimals_of(bound) for bound in (tiers.terms.free_quantity, *bounds))


def _tier_money_decimals(tiers: Tiers) -> int:
    return max(_decimals_of(amount) for tier in tiers.terms.tiers for amount in (tier.amount, tier.flat))


def _tier_pers(tiers: Tiers) -> Iterator[int]:
    return (tier.per.as_integer_ratio()[0] for tier in tiers.terms.tiers)


def _decimals(numbers: Iterable[ExactNumber]) -> int:
    return max((number.decimals for number in numbers), default=0)


def _decimals_of(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), f"{number} is no number"
    return max(0, -exponent)
