"""Which thresholds a product has reached with what it owes for its usage of a month.

watched = watch(rated, books)                            # which months to look at; mostly none
reached = find_reached(watched, charges, now)            # the charges as they are once the usages are stored

What is reached is a matter of the charges alone, not of who added to them: it is told when nobody told it before. So it does not matter
how usages are divided into batches and over workers, nor in which order they come.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from libs.billing.thresholds import crossings
from libs.contracts import Charge, ThresholdCrossed, UsageRated
from libs.contracts.adjustments import Thresholds
from libs.money import round_to_minor_unit
from libs.periods import Period
from libs.pricing import RateBooks
from libs.pricing.charge_amount import exact_amount
from services.rating.domain.charge_ids import crossing_id
from services.rating.domain.deciding import Earlier, Rated, Rater
from services.rating.domain.holdings import Account, Product
from services.rating.domain.months import BillingMonth

NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Watch:
    """A product's month to look at, and the last usage that gives reason to."""

    account: Account
    product: Product
    thresholds: Thresholds
    month: BillingMonth
    usage_id: str


def rate_again(earlier: Mapping[str, Earlier], rater: Rater) -> list[Rated]:
    """What was rated before, as it would be rated now: whoever rated it may have ended before anything was told."""
    outcomes = [rater.rate(known.usage, is_released=True) for known in earlier.values() if isinstance(known.answer, UsageRated)]
    return [outcome for outcome in outcomes if isinstance(outcome, Rated)]


def watch(rated: Sequence[Rated], books: RateBooks) -> list[Watch]:
    """The months to which these usages added something, where the offering of then has thresholds."""
    # A price is one offering's, in one book: for each there is one look at most, and none for each usage where nobody watches.
    examples = {each.charge.price: each for each in rated}
    watched = {price: thresholds for price, each in examples.items() if (thresholds := _thresholds(each, books)) is not None}
    if not watched:
        return []
    last = {_place(each): each for each in rated if each.charge.price in watched and _adds(each)}
    return [
        Watch(each.charge.account, each.charge.product, watched[each.charge.price], each.charge.month, each.usage.id)
        for each in last.values()
    ]


def find_reached(watched: Iterable[Watch], charges: Iterable[Charge], now: datetime) -> list[ThresholdCrossed]:
    """All that is reached of these months, told before or not; `charges` are those of their usage, open, cut or billed."""
    of_month: dict[tuple[str, str, datetime], list[Charge]] = {}
    for charge in charges:
        of_month.setdefault((charge.account_id, charge.product_id, charge.period.start), []).append(charge)
    reached: dict[str, ThresholdCrossed] = {}
    for each in watched:
        counted = of_month.get((each.account.id, each.product.id, each.month.start), ())
        reached.update((fact.id, fact) for fact in _reached(each, counted, now))
    return list(reached.values())


def _reached(watch: Watch, charges: Iterable[Charge], now: datetime) -> list[ThresholdCrossed]:
    thresholds, account, product, month = watch.thresholds, watch.account, watch.product, watch.month
    prices = thresholds.scope.price_ids
    owed = sum((exact_amount(charge) for charge in charges if not prices or charge.price_id in prices), NOTHING)
    return [
        ThresholdCrossed(
            id=crossing_id(account.id, product.id, product.offering_id, month.label, thresholds.id, crossing.percent),
            account_id=account.id,
            product_id=product.id,
            offering_id=product.offering_id,
            threshold_id=thresholds.id,
            percent=crossing.percent,
            threshold_amount=thresholds.amount,
            amount=round_to_minor_unit(owed, account.currency),
            currency=account.currency,
            period=Period(start=month.start, end=month.end),
            usage_id=watch.usage_id,
            crossed_at=now,
        )
        for crossing in crossings(thresholds, NOTHING, owed)
    ]


def _thresholds(rated: Rated, books: RateBooks) -> Thresholds | None:
    charge = rated.charge
    offering = books.offering(charge.product.offering_id, rated.usage.started_at, charge.account.currency, charge.account.time_zone)
    return offering.adjustments.thresholds if offering is not None else None


def _place(rated: Rated) -> tuple[str, ...]:
    charge = rated.charge
    return charge.account.id, charge.product.id, charge.product.offering_id, charge.month.label, charge.price.rate_book


def _adds(rated: Rated) -> bool:
    """Whether the usage makes its charges owe more; what allowances pay does not."""
    return any(priced.numerator or priced.price.tiers is not None for priced in rated.priced.parts)
