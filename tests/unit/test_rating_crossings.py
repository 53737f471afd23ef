"""Which thresholds a product's usage of a month reaches, and that each is told once; with no infrastructure."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import Charge, ChargeKind, ThresholdCrossed, UsageRated, UsageReceived
from libs.pricing import RateBooks, parse_rate_book
from services.rating.domain.accumulation import accumulate
from services.rating.domain.counted import Counted, add_counted
from services.rating.domain.crossing import find_reached, rate_again, watch
from services.rating.domain.deciding import Earlier, Rated, Rater
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.rating_world import ZONE
from tests.unit.test_rating_tiers_and_parts import charge_of
from tests.usages import usage_of

NOW = datetime(2026, 4, 2, tzinfo=UTC)
ADA, BOB = "+12125550001", "+12125550002"
BOOK = """
id: watched
effective_from: 2020-01-01
currency: USD
offerings:
  watched:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 1 s}}
      - id: texts
        description: Texts
        match: {usage_type: sms}
        graduated: [{up_to: 10 message, price: {amount: 1, per: 1 message}}, {price: {amount: 2, per: 1 message}}]
    thresholds: {id: spent, amount: 40, percents: [50, 80, 100]}
  calls-only:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 1 s}}
      - {id: texts, description: Texts, match: {usage_type: sms}, price: {amount: 1, per: 1 message}}
    thresholds: {id: spent, amount: 10, percents: [100], scope: {prices: [calls]}}
  free:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0, per: 1 s}}
    thresholds: {id: spent, amount: 10, percents: [100]}
  unwatched:
    usage_prices:
      - {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 1 s}}
"""
BOOKS = RateBooks([parse_rate_book(BOOK, "watched.yaml")])


def rater(offering: str = "watched", cuts: int = 0) -> Rater:
    """Of a product with two numbers, in whose month so many cuts were made."""
    product = Product("line", "ada", offering, "Line", "active", datetime(2024, 1, 1, tzinfo=UTC))
    holding = Holding.of(product, product.started_at, None)
    account = Account("ada", "USD", ZONE, {"2026-03-01": cuts})
    limits = UsageLimits(timedelta(hours=1), timedelta(days=365))
    return Rater(Holdings({ADA: (holding,), BOB: (holding,)}, {"ada": account}), BOOKS, limits, NOW)


def call(id: str, seconds: int, *, at: str = "2026-03-02T15:00:00Z", by: str = ADA) -> UsageReceived:
    return usage_of(id=id, identifier=by, usage_type="voice", started_at=at, quantity=Decimal(seconds), unit="s")


def texts(id: str, count: int) -> UsageReceived:
    return usage_of(
        id=id,
        identifier=ADA,
        usage_type="sms",
        started_at="2026-03-02T15:00:00Z",
        quantity=Decimal(count),
        unit="message",
        called_number="+12125559999",
    )


def rated(*usages: UsageReceived, by: Rater | None = None) -> list[Rated]:
    by = by or rater()
    outcomes = [by.rate(usage) for usage in usages]
    assert all(isinstance(outcome, Rated) for outcome in outcomes), outcomes
    return [outcome for outcome in outcomes if isinstance(outcome, Rated)]


class Month:
    """What is stored: charges to which batches add, and what was told."""

    def __init__(self) -> None:
        self.charges: dict[str, Charge] = {}
        self.told: dict[str, ThresholdCrossed] = {}

    def add(self, batch: Sequence[Rated]) -> None:
        """As the transaction of a batch does."""
        for id, increment in accumulate(batch).items():
            if id not in self.charges:
                continued = [self.charges[one] for one in increment.charge.continued_ids if one in self.charges]
                counted = add_counted(Counted(each.quantity, each.usage_count) for each in continued)
                self.charges[id] = charge_of(increment, counted)
                continue
            charge = self.charges[id]
            sums = {str(at): charge.sums[str(at)] + numerator for at, numerator in increment.sums.items()}
            grown = {"sums": sums, "quantity": charge.quantity + increment.quantity}
            self.charges[id] = charge.model_copy(update={**grown, "usage_count": charge.usage_count + increment.usage_count})

    def look(self, batch: Sequence[Rated]) -> list[str]:
        """What is new, as it is told after the batch."""
        reached = find_reached(watch(batch, BOOKS), self.charges.values(), NOW)
        fresh = [crossing for crossing in reached if crossing.id not in self.told]
        self.told.update((crossing.id, crossing) for crossing in fresh)
        return [f"{crossing.percent} by {crossing.usage_id}: {crossing.amount}" for crossing in fresh]

    def take(self, *usages: UsageReceived, by: Rater | None = None) -> list[str]:
        """One batch."""
        batch = rated(*usages, by=by)
        self.add(batch)
        return self.look(batch)


def test_a_threshold_is_told_when_the_month_reaches_it_and_never_again():
    month = Month()
    assert month.take(call("u-1", 199)) == []
    assert month.take(call("u-2", 1, by=BOB)) == ["50 by u-2: 20.00"]
    assert month.take(call("u-3", 1)) == []
    assert month.take(call("u-4", 100), call("u-5", 100)) == ["80 by u-5: 40.10", "100 by u-5: 40.10"]
    assert month.take(call("u-6", 10_000)) == []


def test_a_price_that_counts_the_month_counts_with_what_the_month_came_to_so_far():
    month = Month()
    # Ten at 1 are 10, five more at 2 are 20 with them.
    assert month.take(texts("t-1", 14)) == []
    assert month.take(texts("t-2", 1)) == ["50 by t-2: 20.00"]
    assert month.take(call("u-1", 119)) == []
    assert month.take(call("u-2", 1)) == ["80 by u-2: 32.00"]
    # Late, after a cut: the next sequence goes on at 2.
    assert month.take(texts("t-3", 4), by=rater(cuts=1)) == ["100 by t-3: 40.00"]


def test_what_was_cut_counts_with_what_comes_late_and_is_not_told_again():
    month = Month()
    assert month.take(call("u-1", 200)) == ["50 by u-1: 20.00"]
    assert month.take(call("u-2", 119), by=rater(cuts=1)) == []
    assert month.take(call("u-3", 1), by=rater(cuts=2)) == ["80 by u-3: 32.00"]


def test_each_month_has_its_own_thresholds_by_the_clock_of_the_account():
    month = Month()
    told = month.take(call("march", 200), call("april", 200, at="2026-04-01T04:00:00Z"), call("march-still", 1, at="2026-04-01T03:59:59Z"))
    assert told == ["50 by march-still: 20.10", "50 by april: 20.00"]
    assert sorted(month.told) == ["ada|line|watched|2026-03-01|spent|50", "ada|line|watched|2026-04-01|spent|50"]


@pytest.mark.parametrize(
    ("offering", "usages", "told"),
    [
        ("calls-only", [texts("t-1", 500), call("u-1", 99)], []),
        ("calls-only", [texts("t-1", 500), call("u-1", 100)], ["100 by u-1: 10.00"]),
        ("free", [call("u-1", 10_000)], []),
        ("unwatched", [call("u-1", 10_000)], []),
    ],
)
def test_what_counts_is_what_its_prices_cost(offering: str, usages: list[UsageReceived], told: list[str]):
    assert Month().take(*usages, by=rater(offering)) == told


def test_nothing_is_looked_at_where_nobody_watches_or_nothing_is_owed():
    assert watch(rated(call("u-1", 60), by=rater("unwatched")), BOOKS) == []
    assert watch(rated(call("u-1", 60), by=rater("free")), BOOKS) == []
    assert watch([], BOOKS) == []


def test_what_re_rating_took_away_is_not_told_again_when_it_comes_back():
    month = Month()
    assert month.take(call("u-1", 200)) == ["50 by u-1: 20.00"]
    (charge,) = month.charges.values()
    correction = charge.model_copy(update={"id": "corrected", "kind": ChargeKind.ADJUSTMENT, "sums": {"10": Decimal(-100)}})
    month.charges["corrected"] = correction
    assert month.take(call("u-2", 100)) == []
    # 200 + 100 + 120 seconds less 10.00
    assert month.take(call("u-3", 120)) == ["80 by u-3: 32.00"]


def test_two_batches_that_are_stored_before_either_looks_notice_what_they_reach_together():
    month = Month()
    first, second = rated(call("u-1", 120)), rated(call("u-2", 120, by=BOB))
    month.add(first)
    month.add(second)
    assert [month.look(second), month.look(first)] == [["50 by u-2: 24.00"], []]


def test_usage_that_comes_again_looks_again_for_who_ended_before_it_could():
    month = Month()
    batch = rated(call("u-1", 200))
    month.add(batch)
    answer = UsageRated(
        id="u-1",
        identifier=ADA,
        usage_type="voice",
        started_at=batch[0].usage.started_at,
        quantity=Decimal(200),
        unit="s",
        account_id="ada",
        product_id="line",
        price_id="calls",
        charge_id=batch[0].charge.id,
        charged_quantity=Decimal(200),
        numerator=200,
        denominator=10,
        currency="USD",
        rate_book="watched",
    )
    again = rate_again({"u-1": Earlier(batch[0].usage, answer)}, rater())
    assert [month.look(again), month.look(again)] == [["50 by u-1: 20.00"], []]


@given(
    quantities=st.lists(st.tuples(st.booleans(), st.integers(0, 120)), min_size=1, max_size=12),
    cut_at=st.integers(0, 12),
    at_a_time=st.integers(1, 5),
    seed=st.integers(0, 10**6),
)
def test_each_threshold_that_is_reached_is_told_exactly_once(quantities: list[tuple[bool, int]], cut_at: int, at_a_time: int, seed: int):
    usages = [texts(f"t-{n}", count % 8) if is_text else call(f"u-{n}", count) for n, (is_text, count) in enumerate(quantities)]
    whole = Month()
    whole.take(*usages)
    expected = set(whole.told)

    chance = random.Random(seed)
    chance.shuffle(usages)
    month, told, unlooked = Month(), [], []
    for start in range(0, len(usages), at_a_time):
        batch = rated(*usages[start : start + at_a_time], by=rater(cuts=int(start >= cut_at)))
        month.add(batch)
        unlooked.append(batch)
        # Some look late, in whatever order, and some twice, for their usage came again.
        while unlooked and chance.random() < 0.5:
            told += month.look(unlooked.pop(chance.randrange(len(unlooked))))
            if chance.random() < 0.3:
                unlooked.append(batch)
    for batch in unlooked:
        told += month.look(batch)

    assert set(month.told) == expected
    assert len(told) == len(expected)
