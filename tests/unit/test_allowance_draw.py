"""Drawing from buckets, with no book and no database: tables, and what holds for all of them."""

import time
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.pricing.allowance import Bucket, BurnOrder, Rollover, Stock, draw, grant, rolled_over

START = datetime(2026, 3, 1, tzinfo=UTC)
LESS_THAN_A_BLINK_S = 2


@pytest.mark.parametrize(
    ("granted", "wanted", "taken", "left_to_pay"),
    [
        ([], 50, [], 50),
        ([100], 0, [], 0),
        ([100], 100, [100], 0),
        ([100], 101, [100], 1),
        ([100, 100], 120, [100, 20], 0),
        ([0, 100], 20, [20], 0),
        ([100, 40, 75], 300, [100, 40, 75], 85),
    ],
)
def test_steps_are_drawn_from_one_bucket_after_the_other(granted: list[int], wanted: int, taken: list[int], left_to_pay: int) -> None:
    drawn, left = draw([Stock(Bucket(str(place), amount)) for place, amount in enumerate(granted)], wanted)
    assert [each.steps for each in drawn] == taken
    assert left == left_to_pay


def test_only_whole_steps_are_drawn_and_the_crumb_stays() -> None:
    # One message takes a unit; there is a unit and a half.
    (drawn,), left = draw([Stock(grant("b", Fraction(3, 2)))], 2)
    assert (drawn.steps, left, amount_left(drawn.bucket)) == (1, 1, Fraction(1, 2))


def test_steps_of_any_size_are_drawn_exactly() -> None:
    bucket = grant("b", Fraction(10))
    for step in (Fraction(1, 60), Fraction(1, 7), Fraction(1, 1000)):
        ((drawn,), _) = draw([Stock(bucket, step.numerator, step.denominator)], 3)
        bucket = drawn.bucket
    assert amount_left(bucket) == 10 - 3 * (Fraction(1, 60) + Fraction(1, 7) + Fraction(1, 1000))


@pytest.mark.parametrize(
    ("left", "most", "least", "kept"),
    [(90, 50, 0, 50), (30, 50, 0, 30), (0, 50, 0, 0), (0, 50, 20, 20), (30, None, 0, 30), (10, 50, 20, 20), (70, 0, 0, 0)],
)
def test_what_rolls_over_is_bounded_on_both_sides(left: int, most: int | None, least: int, kept: int) -> None:
    rollover = Rollover(None if most is None else Fraction(most), Fraction(least))
    assert rolled_over(left, rollover) == kept


def test_what_rolled_over_and_was_used_is_gone_for_late_usage_of_its_own_period() -> None:
    bucket = Bucket("march", 100, used=40)
    ((later,), _) = draw([Stock(bucket, rolled=Rollover(Fraction(50)))], 70)
    assert later.steps == 50
    ((late,), left) = draw([Stock(later.bucket)], 30)
    assert (late.steps, left, late.bucket.left(), late.bucket.left(Rollover(Fraction(50)))) == (10, 20, 0, 0)


def test_a_rollover_in_finer_fractions_than_its_bucket_is_exact() -> None:
    ((drawn,), left) = draw([Stock(Bucket("b", 10), 1, 10, Rollover(Fraction("2.5")))], 30)
    assert (drawn.steps, left) == (25, 5)


def amount_left(bucket: Bucket) -> Fraction:
    return Fraction(bucket.left(), bucket.denominator)


def orders(expiries: list[int]) -> list[BurnOrder]:
    return [BurnOrder(1, START + timedelta(days=days), 1, f"{place:06}", START) for place, days in enumerate(expiries)]


@pytest.mark.parametrize(
    "sooner",
    [
        (BurnOrder(1, START, 1, "b", START), BurnOrder(2, START - timedelta(days=1), 0, "a", START)),
        (BurnOrder(1, START, 2, "b", START), BurnOrder(1, START + timedelta(days=1), 0, "a", START)),
        (BurnOrder(1, START, 0, "b", START), BurnOrder(1, START, 1, "a", START)),
        (BurnOrder(1, START, 1, "a", START), BurnOrder(1, START, 1, "b", START)),
    ],
    ids=["priority before expiry", "expiry before rollover", "rolled over before fresh", "id last"],
)
def test_one_order_is_stated_for_any_two_buckets(sooner: tuple[BurnOrder, BurnOrder]) -> None:
    first, second = sooner
    assert sorted([second, first]) == [first, second]


def test_a_hundred_thousand_grants_draw_at_once() -> None:
    ordered = orders([30] * 60_000 + [29] + [30] * 39_999)
    stocks = [(order, Stock(Bucket(order.allowance_id, 100))) for order in ordered]
    began = time.perf_counter()
    ((drawn,), left) = draw((stock for _, stock in sorted(stocks)), 99)
    assert time.perf_counter() - began < LESS_THAN_A_BLINK_S
    assert (drawn.bucket.id, drawn.bucket.left(), left) == ("060000", 1, 0)


AMOUNTS = st.integers(0, 10**12)
STEPS = st.builds(Fraction, st.integers(1, 100), st.integers(1, 100))
ROLLOVERS = st.none() | st.builds(Rollover, st.none() | st.builds(Fraction, AMOUNTS, st.integers(1, 60)))


@st.composite
def buckets(draw_from: st.DrawFn) -> Bucket:
    granted = draw_from(AMOUNTS)
    used = draw_from(st.integers(0, granted))
    return Bucket("", granted, draw_from(st.integers(1, 1000)), used, draw_from(st.integers(0, granted - used)))


@given(st.lists(st.builds(Stock, buckets(), st.integers(1, 100), st.integers(1, 100), ROLLOVERS), max_size=6), AMOUNTS)
def test_what_is_drawn_and_what_is_left_to_pay_are_what_was_wanted(stocks: list[Stock], wanted: int) -> None:
    drawn, left = draw(stocks, wanted)
    assert sum(each.steps for each in drawn) + left == wanted
    assert left >= 0


@given(buckets(), STEPS, ROLLOVERS, AMOUNTS)
def test_nothing_is_overspent(bucket: Bucket, step: Fraction, rolled: Rollover | None, wanted: int) -> None:
    drawn, _ = draw([Stock(bucket, step.numerator, step.denominator, rolled)], wanted)
    for each in drawn:
        after = each.bucket
        assert after.used + after.used_later <= after.granted
        before = Fraction(bucket.used + bucket.used_later, bucket.denominator)
        assert Fraction(after.used + after.used_later, after.denominator) - before == each.steps * step
        if rolled is not None and rolled.most is not None and bucket.used_later <= rolled.most * bucket.denominator:
            assert Fraction(after.used_later, after.denominator) <= rolled.most


@given(st.lists(st.integers(0, 200), max_size=8), st.lists(st.integers(0, 200), max_size=5), st.randoms())
def test_the_order_of_usages_does_not_change_what_is_paid_in_all(wanted: list[int], granted: list[int], random) -> None:
    def left_to_pay(order: list[int]) -> tuple[int, int]:
        there = [Bucket(str(place), amount) for place, amount in enumerate(granted)]
        unpaid = 0
        for steps in order:
            drawn, left = draw(map(Stock, there), steps)
            unpaid += left
            changed = {each.bucket.id: each.bucket for each in drawn}
            there = [changed.get(bucket.id, bucket) for bucket in there]
        return unpaid, sum(bucket.left() for bucket in there)

    shuffled = list(wanted)
    random.shuffle(shuffled)
    assert left_to_pay(wanted) == left_to_pay(shuffled) == (max(0, sum(wanted) - sum(granted)), max(0, sum(granted) - sum(wanted)))


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_a_rollover_never_exceeds_its_cap(left: int, most: int, least: int) -> None:
    kept = rolled_over(left, Rollover(Fraction(most), Fraction(min(most, least))))
    assert min(least, most) <= kept <= most
    assert kept == left or kept in (most, min(most, least))
