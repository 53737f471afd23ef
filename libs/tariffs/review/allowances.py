"""Allowances that nothing reaches, and those that a single small session uses up in large steps."""

from collections.abc import Iterator, Mapping

from libs.pricing import Fault
from libs.pricing.allowance import Allowance
from libs.pricing.compiled_price import CompiledPrice
from libs.pricing.rate_book import Offering
from libs.pricing.usage_price import UsagePrice
from libs.tariffs.review.table_prices import prices_in

# What an ordinary session has of each unit: a step above it takes much more than was used.
ORDINARY_SESSIONS = {"s": (180, "3 minutes"), "byte": (10_000_000, "10 MB"), "message": (1, "1 message"), "event": (1, "1 event")}


def allowance_warnings(offering: Offering) -> Iterator[Fault]:
    """What is odd about the allowances of an offering."""
    prices = {price.id: price for price in offering.usage_prices}
    compiled = {each.price_id: each for table in offering.tables.values() for each in prices_in(table)}
    for allowance in offering.allowances:
        assert allowance.place is not None, f"{allowance.id} was read"
        covered = [each for each in compiled.values() if allowance.covers_price(each)]
        yield from _unknown_types(allowance, prices)
        if covered and not any(_numbers_meet(allowance, prices[each.price_id]) for each in covered):
            yield allowance.place.fault(
                f"nothing reaches allowance {allowance.id!r}: no price that it covers is for numbers of its zones", "correct its `covers`"
            )
        for each in covered:
            yield from _large_steps(allowance, each, prices[each.price_id])


def _unknown_types(allowance: Allowance, prices: Mapping[str, UsagePrice]) -> Iterator[Fault]:
    assert allowance.place is not None, f"{allowance.id} was read"
    priced = {price.match.usage_type for price in prices.values()}
    for usage_type in sorted((allowance.covers.usage_types | allowance.factors.keys()) - priced):
        yield allowance.place.fault(
            f"allowance {allowance.id!r} covers usage type {usage_type!r}, which no price of the offering is for", "correct or remove it"
        )


def _numbers_meet(allowance: Allowance, price: UsagePrice) -> bool:
    called = allowance.covers.called
    return (
        not called
        or not price.match.called
        or any(one.startswith(other) or other.startswith(one) for one in called for other in price.match.called)
    )


def _large_steps(allowance: Allowance, compiled: CompiledPrice, price: UsagePrice) -> Iterator[Fault]:
    if allowance.is_money or compiled.unit not in ORDINARY_SESSIONS or compiled.rungs:
        return
    most, words = ORDINARY_SESSIONS[compiled.unit]
    if compiled.to_quantity(compiled.first) > most:
        yield price.place.fault(
            f"a session of {words} takes {price.increments.first} {compiled.unit} from allowance {allowance.id!r}: "
            f"the increments of price {price.id!r} are what it is drawn in",
            "make the increments smaller",
        )
