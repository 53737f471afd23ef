"""Why a usage costs what it costs, step by step, told by the functions that price it.

The amounts of the steps add up to the amount that is told last: `explain` prices the usage as rating does, and then says what came of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from libs.contracts import AllowanceUse, UsageReceived
from libs.money import RoundingMode, minor_unit_decimals, round_to_decimals
from libs.pricing.compiled_price import CompiledPrice, PricedUsage
from libs.pricing.increments import NONE, NONE_IN_SECONDS, Increments
from libs.pricing.local_time import local_minute
from libs.pricing.rate_book import Offering
from libs.pricing.rate_books import RateBooks
from libs.pricing.refusal import RejectedUsage
from libs.pricing.specificity import Specificity, specificity
from libs.pricing.usage_price import Rate, Step, UsageMatch, UsagePrice

# Who wants to know of more prices reads the book.
BEATEN_TOLD_MAX = 20
DECIMALS_TOLD = 10
AMOUNT = "amount"


@dataclass(frozen=True, slots=True)
class ExplanationStep:
    """`topic` is one of book, match, beaten, split, quantity, allowance, price, setup-fee, minimum, maximum, rounding, amount, refusal.

    `amount` is what this step adds; that of the last step, `amount`, is the sum of all others.
    """

    topic: str
    text: str
    amount: Fraction | None = None


def explain(
    books: RateBooks,
    offering_id: str,
    usage: UsageReceived,
    *,
    time_zone: str,
    currency: str,
    left: PricedUsage | None = None,
    uses: Sequence[AllowanceUse] = (),
) -> list[ExplanationStep]:
    """Price a usage and say why it is so; `left` and `uses` are what allowances left to pay, and what they took for it.

    Raises UnknownTimeZone.
    """
    priced = books.price_usage(offering_id, usage, time_zone=time_zone, currency=currency)
    if isinstance(priced, RejectedUsage):
        return [ExplanationStep("refusal", f"{priced.reason.value}: {priced.detail}")]
    return list(_steps(books, offering_id, usage, time_zone, priced, left or priced, uses))


def _steps(
    books: RateBooks,
    offering_id: str,
    usage: UsageReceived,
    time_zone: str,
    priced: PricedUsage,
    left: PricedUsage,
    uses: Sequence[AllowanceUse],
) -> Iterator[ExplanationStep]:
    offering = books.offering(offering_id, usage.started_at, priced.currency, time_zone)
    assert offering is not None, f"{offering_id} has just been priced"
    yield ExplanationStep("book", f"rate book {offering.rate_book} holds for offering {offering_id} in {offering.currency} at that time")
    yield from _match_steps(offering, usage, time_zone, priced.price)
    terms = {part.price: _terms(books, offering_id, part.price) for part in priced.parts}
    if priced.others:
        yield from _split_steps(usage, time_zone, priced)
    yield from _quantity_steps(usage, priced, terms[priced.price])
    for use in uses:
        taken = _number(Fraction(use.quantity) / use.denominator)
        yield ExplanationStep("allowance", f"allowance {use.allowance_id} pays, and {taken} is taken from bucket {use.bucket_id}")
    told = Fraction(0)
    for step in _amount_steps(left, {part.price: term for part, term in zip(left.parts, terms.values(), strict=True)}):
        told += step.amount or 0
        yield step
    if told != left.amount:
        yield ExplanationStep("allowance", "money of allowances pays for it", left.amount - told)
    yield ExplanationStep(AMOUNT, f"{_number(left.amount)} {left.currency} in all, {_line_rounding(left.price)}", left.amount)


def _match_steps(offering: Offering, usage: UsageReceived, time_zone: str, winner: CompiledPrice) -> Iterator[ExplanationStep]:
    slot = offering.week.slot(local_minute(usage.started_at, time_zone))
    ranked = [(price, specificity(price.match, usage, offering.week, slot)) for price in offering.usage_prices]
    matching = [(price, rank) for price, rank in ranked if rank is not None]
    price, best = next((price, rank) for price, rank in matching if price.id == winner.price_id)
    at = usage.started_at.astimezone(ZoneInfo(time_zone))
    yield ExplanationStep(
        "match", f"price {price.id} ({price.description}) is for {_matched(price.match)}; it began on {at:%a %Y-%m-%d %H:%M:%S}"
    )
    beaten: list[tuple[UsagePrice, Specificity]] = sorted(
        ((other, rank) for other, rank in matching if other is not price), key=lambda pair: pair[1], reverse=True
    )
    for other, rank in beaten[:BEATEN_TOLD_MAX]:
        yield ExplanationStep("beaten", f"it goes before {other.id} ({_matched(other.match)}): {best.lead_over(rank)}")


def _matched(match: UsageMatch) -> str:
    words = [match.usage_type]
    if match.called:
        words.append(f"to {_some(match.called)}")
    if match.networks:
        words.append(f"in networks {_some(match.networks)}")
    elif match.home_networks is not None:
        words.append(" and ".join(match.places))
    words += [f"with {name} {_some(sorted(values))}" for name, values in sorted(match.characteristics.items())]
    if match.time_band:
        words.append(f"in time band {match.time_band.name}")
    return " ".join(words)


def _some(values: Sequence[str]) -> str:
    return ", ".join(values[:3]) + (f" and {len(values) - 3} more" if len(values) > 3 else "")


def _split_steps(usage: UsageReceived, time_zone: str, priced: PricedUsage) -> Iterator[ExplanationStep]:
    stretches = sorted((*stretch, number) for number, part in enumerate(priced.parts) for stretch in part.stretches)
    for start, end, number in stretches:
        part = priced.parts[number]
        offset = (start + (part.price.free_steps if start else 0)) * timedelta(seconds=1) / 10**part.price.decimals
        at = (usage.started_at + offset).astimezone(ZoneInfo(time_zone))
        quantity = _decimal(part.price.to_quantity(end - start))
        yield ExplanationStep("split", f"from {at:%a %Y-%m-%d %H:%M:%S} on, {quantity} {part.price.unit} are at price {part.price_id}")


def _quantity_steps(usage: UsageReceived, priced: PricedUsage, terms: UsagePrice) -> Iterator[ExplanationStep]:
    charged = sum((part.charged_quantity for part in priced.parts), Decimal(0))
    unit = priced.price.unit
    unrounded = priced.price.rungs or terms.increments in (NONE, NONE_IN_SECONDS)
    how = "" if unrounded else f" in increments of {_increments(terms.increments)}"
    free = f", after {terms.free_first} {unit} that are free" if terms.free_first.digits else ""
    yield ExplanationStep("quantity", f"{_decimal(usage.quantity)} {unit} are charged as {_decimal(charged)} {unit}{how}{free}")


def _increments(increments: Increments) -> str:
    return str(increments.first) if increments.first == increments.then else f"{increments.first}/{increments.then}"


def _amount_steps(left: PricedUsage, terms: dict[CompiledPrice, UsagePrice]) -> Iterator[ExplanationStep]:
    whole = left.price
    numerator = 0
    for part in left.parts:
        # A volume price finds one tier for all of its part.
        is_volume = part.price.record_tiers is not None and part.price.record_tiers.is_volume
        whole_part = ((0, part.steps),)
        for start, end in whole_part if is_volume else part.stretches or whole_part:
            for text, cost in _costs(part.price, terms[part.price], start, end):
                numerator += cost
                yield ExplanationStep("price", text, Fraction(cost, whole.exact_denominator))
    if not any(part.steps for part in left.parts):
        return
    if whole.setup_numerator:
        if left.continued:
            yield ExplanationStep("setup-fee", "no set-up fee: the usage goes on with a session that has paid it", Fraction(0))
        else:
            numerator += whole.setup_numerator
            yield ExplanationStep("setup-fee", "set-up fee", Fraction(whole.setup_numerator, whole.exact_denominator))
    if whole.minimum is not None and numerator < whole.minimum:
        yield ExplanationStep("minimum", "the least that a record costs", Fraction(whole.minimum - numerator, whole.exact_denominator))
        numerator = whole.minimum
    if whole.maximum is not None and numerator > whole.maximum:
        yield ExplanationStep(
            "maximum", "what exceeds the most that a record costs", Fraction(whole.maximum - numerator, whole.exact_denominator)
        )
        numerator = whole.maximum
    if whole.record_rounding is not None:
        rounding = whole.record_rounding
        exact = Fraction(numerator, whole.exact_denominator)
        rounded = Fraction(sum(whole.settled([numerator])), whole.denominator)
        yield ExplanationStep(
            "rounding", f"each record is rounded to {rounding.decimals} decimals, {rounding.mode.value.replace('_', ' ')}", rounded - exact
        )


def _costs(price: CompiledPrice, terms: UsagePrice, start: int, end: int) -> Iterator[tuple[str, int]]:
    """What the charged steps from `start` to `end` cost, divided where their price changes with the quantity."""
    quantity = f"{_decimal(price.to_quantity(end - start))} {price.unit}"
    if price.tiers is not None:
        yield f"{quantity} count for the month, whose {price.tiers.model} price is in its charge ({price.price_id})", 0
    elif price.record_tiers is not None:
        told = ", ".join(
            f"{_number(Fraction(counted, 10**price.decimals))} for {_number(Fraction(amount, price.exact_denominator))}"
            for counted, amount in price.record_tiers.parts(end)
        )
        yield f"tiers of the record, in {price.unit}: {told} ({price.price_id})", price.unsettled(start, end)
    elif isinstance(terms.model, tuple):
        yield from _costs_of_steps(price, terms.model, start, end)
    elif isinstance(terms.model, Rate):
        yield f"{quantity} at {_rate(terms.model)} ({price.price_id})", price.unsettled(start, end)


def _costs_of_steps(price: CompiledPrice, steps: Sequence[Step], start: int, end: int) -> Iterator[tuple[str, int]]:
    for step, rung, after in zip(steps, price.rungs, (*price.rungs[1:], None), strict=True):
        first, last = max(start, rung.charged_start), end if after is None else min(end, after.charged_start)
        if first < last:
            quantity = _decimal(price.to_quantity(last - first))
            yield f"{quantity} {price.unit}, from {step.start} on, at {_rate(step.rate)} ({price.price_id})", price.unsettled(first, last)


def _rate(rate: Rate) -> str:
    return f"{rate.amount} per {rate.per.count} {rate.per.unit}"


def _terms(books: RateBooks, offering_id: str, price: CompiledPrice) -> UsagePrice:
    book = next(book for book in books.books if book.id == price.rate_book)
    return next(terms for terms in book.offerings[offering_id].usage_prices if terms.id == price.price_id)


def _line_rounding(price: CompiledPrice) -> str:
    rounding = price.line_rounding
    decimals = minor_unit_decimals(price.currency) if rounding is None or rounding.decimals is None else rounding.decimals
    mode = "half up" if rounding is None else rounding.mode.value.replace("_", " ")
    place = "with the sum of the bill's lines" if rounding is not None and rounding.point == "bill" else "at the bill line"
    return f"to be rounded once, {place}: {mode} to {decimals} decimals"


def _decimal(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _number(number: Fraction) -> str:
    """As a decimal where it is one, else as a fraction with its first digits."""
    digits = round_to_decimals(number, DECIMALS_TOLD, RoundingMode.DOWN)
    return _decimal(digits) if Fraction(digits) == number else f"{number} ({digits}…)"
