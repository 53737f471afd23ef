"""Allowances of a rate book, from its text to the buckets that usage leaves: who draws, when, in which order and how much."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import UsageRated
from libs.pricing import RateBook, RateBookInvalid, RateBooks, parse_rate_book
from services.rating.domain.deciding import rated_fact
from tests.drawing_world import LINE, DrawingWorld, book, product, taken, to_pay, usage

CALLS = "- {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.10, per: 60 s}}"
MINUTES = "- {id: minutes, description: Minutes, amount: 100 min%s}"
MARCH = "product|line|basic|minutes|s|2026-03-01"
OTHER_LINE = "+34600000002"


def minutes(more: str = "", prices: str = CALLS, **fields: Any) -> DrawingWorld:
    return DrawingWorld.of(book(MINUTES % (f", {more}" if more else ""), prices), **fields)


def labels(world: DrawingWorld, *calls: Any) -> list[dict[str, int]]:
    """What each call took in seconds, by the day or word that names the bucket."""
    return [{id.rpartition("|")[2]: int(amount) for id, amount in taken(rated).items()} for rated in world.rate(*calls)]


def test_a_partly_covered_call_pays_for_the_rest() -> None:
    (first, second) = minutes().rate(usage("a", 5_990), usage("b", 20))
    assert (taken(first), to_pay(first), first.priced.charged_quantity) == ({MARCH: 5_990}, 0, 0)
    assert (taken(second), to_pay(second), second.priced.charged_quantity) == ({MARCH: 10}, Fraction(1, 60), 10)


def test_increments_come_before_the_allowance() -> None:
    blocks = CALLS.replace("60 s}", "60 s}, increments: 60/1", 1)
    (rated,) = minutes(prices=blocks).rate(usage("a", 1))
    assert taken(rated) == {MARCH: 60}


@pytest.mark.parametrize(("before", "fee"), [(0, 0), (5_999, Fraction("0.15") + Fraction(59, 600)), (6_000, Fraction("0.25"))])
def test_the_set_up_fee_is_due_unless_all_is_covered(before: int, fee: Fraction) -> None:
    world = minutes(prices=CALLS.replace("60 s}", "60 s}, setup_fee: 0.15", 1))
    *_, rated = world.rate(usage("before", before), usage("a", 60))
    assert to_pay(rated) == fee


def test_the_fact_tells_what_was_taken_exactly_and_comes_through_a_message() -> None:
    allowances = MINUTES % ", priority: 1" + "\n- {id: money, description: Money, amount: 0.01}"
    world = DrawingWorld.of(book(allowances, CALLS.replace("60 s}", "60 s}, increments: 0.1", 1)))
    *_, rated = world.rate(usage("a", "5998.5"), usage("b", "7.5"))
    fact = rated_fact(rated)
    assert [(use.allowance_id, use.quantity, use.denominator) for use in fact.allowances] == [
        ("minutes", Decimal("1.5"), 1),
        ("money", Decimal(1), 100),
    ]
    assert UsageRated.from_message(fact.to_message()) == fact


def test_money_pays_what_is_left_to_pay_whatever_the_priorities_are() -> None:
    allowances = MINUTES % ", priority: 2" + "\n- {id: money, description: Money, amount: 5.00, priority: 1}"
    world = DrawingWorld.of(book(allowances, CALLS))
    first, second = world.rate(usage("a", 6_030), usage("b", 3_600))
    money = MARCH.replace("minutes|s", "money|EUR")
    assert (taken(first), to_pay(first), first.priced.charged_quantity) == ({MARCH: 6_000, money: Fraction("0.05")}, 0, 30)
    assert (taken(second), to_pay(second)) == ({money: Fraction("4.95")}, Fraction("1.05"))


def test_money_pays_the_set_up_fee_and_leaves_usage_that_counts_the_month_to_the_bill() -> None:
    prices = """
- {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}, setup_fee: 1}
- {id: texts, description: Texts, match: {usage_type: sms}, graduated: [{price: {amount: 1, per: 1 message}}]}"""
    world = DrawingWorld.of(book("- {id: money, description: Money, amount: 100}", prices))
    call, text = world.rate(usage("a", 59), usage("b", 5, kind="sms", unit="message"))
    assert (sum(taken(call).values()), to_pay(call), taken(text)) == (60, 0, {})


def test_money_pays_to_the_last_fraction_of_any_price() -> None:
    prices = """
- {id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}}
- {id: odd, description: Odd, match: {usage_type: odd}, price: {amount: 1, per: 7 s}}
- id: rounded
  description: Rounded
  match: {usage_type: rounded}
  price: {amount: 0.333, per: 1 s}
  rounding: {point: record, mode: up, decimals: 2}"""
    world = DrawingWorld.of(book("- {id: money, description: Money, amount: 2.50}", prices))
    odd, rounded, call, too_late = world.rate(
        usage("a", 3, kind="odd"), usage("b", 1, kind="rounded"), usage("c", 3), usage("d", 1, kind="rounded")
    )
    assert [sum(taken(each).values()) for each in (odd, rounded)] == [Fraction(3, 7), Fraction("0.34")]
    assert to_pay(call) == 3 - (Fraction("2.50") - Fraction(3, 7) - Fraction("0.34"))
    assert list(world.left().values()) == [0]
    assert to_pay(too_late) == Fraction("0.34")


def test_a_price_that_counts_the_month_counts_what_was_not_covered() -> None:
    graduated = "- {id: calls, description: Calls, match: {usage_type: voice}, graduated: [{price: {amount: 1, per: 1 min}}]}"
    *_, rated = minutes(prices=graduated).rate(usage("a", 5_990), usage("b", 20))
    assert rated.priced.charged_quantity == 10


@pytest.mark.parametrize(
    ("covers", "called", "is_covered"),
    [
        ("usage_types: voice", None, True),
        ("usage_types: [voice, sms]", "+34112", True),
        ("zones: home", "+34911234567", True),
        ("zones: home", "+33911234567", False),
        ("zones: home", None, False),
        ("called: ['+3491', '112']", "112", True),
        ("zones: home, called: '+33'", "+33911234567", True),
        ("prices: calls", None, True),
        ("prices: calls, zones: home", "+33911234567", False),
    ],
)
def test_all_that_covers_says_must_fit(covers: str, called: str | None, is_covered: bool) -> None:
    text = book(MINUTES % f", covers: {{{covers}}}", CALLS, more='zones:\n  home: ["+34"]\n')
    (rated,) = DrawingWorld.of(text).rate(usage("a", 60, called_number=called))
    assert bool(taken(rated)) is is_covered


@pytest.mark.parametrize(
    ("recurrence", "at", "label"),
    [
        ("month", "2026-03-31T23:59:59+02:00", "2026-03-01"),
        ("month", "2026-04-01T00:00:00+02:00", "2026-04-01"),
        ("month", "2026-03-31T22:30:00Z", "2026-04-01"),
        ("week", "2026-03-29T23:59:59+02:00", "2026-03-23"),
        ("week", "2026-03-30T00:00:00+02:00", "2026-03-30"),
        ("week", "2026-01-01T12:00:00+01:00", "2025-12-29"),
        ("day", "2026-03-29T02:59:59+02:00", "2026-03-29"),
        ("day", "2026-03-29T22:00:00Z", "2026-03-30"),
        ("day", "2024-02-29T12:00:00+01:00", "2024-02-29"),
        ("once", "2026-03-29T22:00:00Z", "once"),
    ],
)
def test_a_grant_is_for_a_period_of_the_account(recurrence: str, at: str, label: str) -> None:
    assert labels(minutes(f"recurrence: {recurrence}"), usage("a", 60, at)) == [{label: 60}]


def test_usage_of_an_earlier_month_draws_from_its_own_bucket() -> None:
    april, march = "2026-04-02T10:00:00+02:00", "2026-03-31T10:00:00+02:00"
    taken_by = labels(minutes(), usage("a", 60, april), usage("late", 60, march), usage("b", 60, april))
    assert taken_by == [{"2026-04-01": 60}, {"2026-03-01": 60}, {"2026-04-01": 60}]


@pytest.mark.parametrize(
    ("terms", "at", "buckets"),
    [
        ("validity: 10 days", "2026-03-10T23:59:59+01:00", ["2026-03-01"]),
        ("validity: 10 days", "2026-03-11T00:00:00+01:00", []),
        ("validity: 45 days", "2026-04-14T23:59:59+02:00", ["2026-03-01", "2026-04-01"]),
        ("validity: 45 days", "2026-04-15T00:00:00+02:00", ["2026-04-01"]),
        ("expires: 2026-03-20", "2026-03-19T23:59:59+01:00", ["2026-03-01"]),
        ("expires: 2026-03-20", "2026-03-20T00:00:00+01:00", []),
        ("expires: 2026-03-20, recurrence: once", "2026-03-20T00:00:00+01:00", []),
        ("recurrence: once, validity: 30 days", "2024-01-31T00:59:59+01:00", ["once"]),
        ("recurrence: once, validity: 30 days", "2024-01-31T01:00:00+01:00", []),
        ("recurrence: day, validity: 2 days", "2026-03-30T00:00:00+02:00", ["2026-03-29", "2026-03-30"]),
    ],
)
def test_a_grant_is_there_until_it_expires(terms: str, at: str, buckets: list[str]) -> None:
    (found,) = labels(minutes(terms), usage("a", 20_000, at))
    assert list(found) == buckets


def test_a_grant_is_made_when_the_product_starts() -> None:
    started = datetime(2026, 3, 20, 12, tzinfo=UTC)
    world = minutes("validity: 10 days", products=[(LINE, product("line", started_at=started))])
    assert labels(world, usage("a", 60, "2026-03-30T12:59:59+02:00"), usage("b", 60, "2026-03-30T13:00:00+02:00")) == [
        {"2026-03-01": 60},
        {},
    ]


@pytest.mark.parametrize(
    ("rollover", "march", "april"),
    [
        ("max: 50 min", 600, {"2026-03-01": 3_000, "2026-04-01": 6_000}),
        ("max: 50 min, burns: first", 4_000, {"2026-03-01": 2_000, "2026-04-01": 6_000}),
        ("max: 50 min, burns: last", 600, {"2026-04-01": 6_000, "2026-03-01": 3_000}),
        ("max: 1 h", 6_000, {"2026-04-01": 6_000}),
        ("max: 1 h, min: 10 min", 6_000, {"2026-03-01": 600, "2026-04-01": 6_000}),
        ("lasts: 1 period", 600, {"2026-03-01": 5_400, "2026-04-01": 6_000}),
    ],
)
def test_what_is_left_rolls_over_into_the_next_period(rollover: str, march: int, april: dict[str, int]) -> None:
    world = minutes(f"rollover: {{{rollover}}}", products=[(LINE, product("line", started_at=datetime(2026, 3, 1, tzinfo=UTC)))])
    _, found = labels(world, usage("a", march), usage("b", 100_000, "2026-04-02T10:00:00+02:00"))
    assert (found, list(found)) == (april, list(april))


def test_what_rolled_over_lasts_as_many_periods_as_it_says_and_does_not_roll_over_again() -> None:
    world = minutes("rollover: {max: 10 min, lasts: 2 periods}")
    (found,) = labels(world, usage("a", 100_000, "2026-06-02T10:00:00+02:00"))
    assert found == {"2026-04-01": 600, "2026-05-01": 600, "2026-06-01": 6_000}


def test_nothing_rolls_over_from_a_time_before_the_product() -> None:
    world = minutes("rollover: {lasts: 3 periods}", products=[(LINE, product("line", started_at=datetime(2026, 2, 10, tzinfo=UTC)))])
    (found,) = labels(world, usage("a", 100_000))
    assert found == {"2026-02-01": 6_000, "2026-03-01": 6_000}


def test_late_usage_finds_what_was_not_used_of_what_rolled_over() -> None:
    world = minutes("rollover: {max: 50 min}")
    used = labels(world, usage("a", 100_000, "2026-04-02T10:00:00+02:00"), usage("late", 100_000, "2026-03-31T10:00:00+02:00"))
    assert used[0] == {"2026-03-01": 3_000, "2026-04-01": 6_000}
    assert used[1] == {"2026-02-01": 3_000, "2026-03-01": 3_000}


ORDERED = """
- {id: b, description: B, amount: 10 s, priority: 2}
- {id: a, description: A, amount: 10 s, priority: 2}
- {id: d, description: D, amount: 10 s, priority: 2, validity: 5 days}
- {id: c, description: C, amount: 10 s, priority: 1, recurrence: once}"""


def test_priority_goes_before_expiry_and_expiry_before_id() -> None:
    (rated,) = DrawingWorld.of(book(ORDERED, CALLS)).rate(usage("a", 100))
    assert [use.allowance_id for use in rated.allowances] == ["c", "d", "a", "b"]


def test_several_kinds_of_usage_draw_from_one_balance_by_their_factors() -> None:
    prices = f"""
{CALLS}
- {{id: texts, description: Texts, match: {{usage_type: sms}}, price: {{amount: 1, per: 1 message}}}}
- {{id: data, description: Data, match: {{usage_type: data}}, price: {{amount: 1, per: 1 MB}}}}"""
    allowance = "- {id: units, description: Units, amount: 3 unit, factors: {voice: 60 s, sms: 1 message}}"
    world = DrawingWorld.of(book(allowance, prices))
    call, text, data, texts = world.rate(
        usage("a", 50),
        usage("b", 1, kind="sms", unit="message"),
        usage("c", 1, kind="data", unit="byte"),
        usage("d", 5, kind="sms", unit="message"),
    )
    assert [list(taken(each).values()) for each in (call, text, data)] == [[Fraction(5, 6)], [1], []]
    # There are 1 1/6 units left, and a message takes a whole one.
    assert (list(taken(texts).values()), to_pay(texts), list(world.left().values())) == ([1], 4, [Fraction(1, 6)])


FAMILY = "- {id: family, description: Family, amount: 100 s, shared: %s}"


@pytest.mark.parametrize(
    ("shared", "owner"),
    [
        ("product", "product|kid|basic|family|s|2026-03-01"),
        ("account", "account|ada|family|s|2026-03-01"),
        ("group", "group|g|family|s|2026-03-01"),
    ],
)
def test_a_bucket_belongs_to_a_product_an_account_or_a_group(shared: str, owner: str) -> None:
    products = [(LINE, product("line", account="bob", group="g")), (OTHER_LINE, product("kid", group="g"))]
    world = DrawingWorld.of(book(FAMILY % shared, CALLS), products=products)
    world.rate(usage("a", 30), usage("b", 30, identifier=OTHER_LINE))
    assert world.left()[owner] == (40 if shared == "group" else 70)


def test_a_product_of_no_group_shares_with_its_account() -> None:
    products = [(LINE, product("line")), (OTHER_LINE, product("kid"))]
    world = DrawingWorld.of(book(FAMILY % "group", CALLS), products=products)
    world.rate(usage("a", 30), usage("b", 30, identifier=OTHER_LINE))
    assert world.left() == {"account|ada|family|s|2026-03-01": 40}


def test_offerings_share_an_allowance_of_one_id() -> None:
    text = book(FAMILY % "account", CALLS)
    offering = text[text.index("  basic:") :].replace("basic", "kids")
    products = [(LINE, product("line")), (OTHER_LINE, product("kid", offering="kids"))]
    world = DrawingWorld.of(text + offering, products=products)
    world.rate(usage("a", 30), usage("b", 30, identifier=OTHER_LINE))
    assert world.left() == {"account|ada|family|s|2026-03-01": 40}


def test_how_much_is_granted_is_said_by_the_book_of_the_start_of_the_period() -> None:
    old, new = (
        book(MINUTES.replace("100", amount) % "", CALLS, id=id, effective_from=day)
        for id, amount, day in (("old", "100", "2025-01-01"), ("new", "10", "2026-03-15"))
    )
    for late_first in (False, True):
        world = DrawingWorld.of(old, new)
        calls = [usage("a", 60, "2026-03-02T10:00:00+01:00"), usage("b", 60, "2026-03-20T10:00:00+01:00")]
        world.rate(*(reversed(calls) if late_first else calls))
        assert world.left() == {MARCH: 5_880}
    world.rate(usage("c", 60, "2026-04-20T10:00:00+02:00"))
    assert world.left()[MARCH.replace("03-01", "04-01")] == 540


def test_the_parts_of_a_split_call_draw_one_after_the_other() -> None:
    bands = "crossing: split\ntime_bands:\n  day: {hours: 08:00-18:00}\n"
    prices = """
- {id: day, description: Day, match: {usage_type: voice, time_band: day}, price: {amount: 6, per: 60 s}}
- {id: night, description: Night, match: {usage_type: voice}, price: {amount: 3, per: 60 s}}"""
    world = DrawingWorld.of(book("- {id: minutes, description: Minutes, amount: 90 s}", prices, more=bands))
    (rated,) = world.rate(usage("a", 120, "2026-03-02T17:59:00+01:00"))
    assert [use.quantity for use in rated.allowances] == [60, 30]
    assert [part.charged_quantity for part in rated.priced.parts if part.charged_quantity] == [30]
    assert to_pay(rated) == Fraction(3, 2)


def test_two_workers_that_drew_from_the_same_version_cannot_both_store_it() -> None:
    world = minutes()
    world.rate(usage("a", 60))
    one, other = world.draw(usage("b", 60)), world.draw(usage("c", 60))
    assert [change.version for change in (*one.changes, *other.changes)] == [0, 0]
    world.store(one)
    with pytest.raises(AssertionError):
        world.store(other)


def test_a_usage_without_allowances_costs_no_look_at_buckets() -> None:
    drawn = DrawingWorld.of(book("- {id: other, description: Other, amount: 1 event}", f"{CALLS}\n{OTHER}")).draw(usage("a", 60))
    assert drawn.changes == []


OTHER = "- {id: other, description: Other, match: {usage_type: other}, price: {amount: 1, per: 1 event}}"

CALL = st.tuples(st.integers(0, 4_000), st.sampled_from([2, 3, 9, 30, 31]), st.sampled_from(["+34911234567", "+33123456789", None]))
TERMS = """
- {id: rolling, description: R, amount: 20 min, rollover: {max: 7 min, lasts: 2 periods}, covers: {zones: home}, priority: 2}
- {id: weekly, description: W, amount: 10 min, recurrence: week, validity: 9 days, priority: 1}
- {id: shared, description: S, amount: 15 min, shared: account}
- {id: money, description: M, amount: 0.77}"""


@given(st.lists(CALL, max_size=12), st.integers(1, 5), st.sampled_from(["1", "0.1", "60/1", "30/6"]))
def test_what_is_drawn_and_what_is_left_to_pay_are_the_call_whatever_the_batches(calls: list, batch_size: int, increments: str) -> None:
    prices = CALLS.replace("60 s}", f"60 s}}, increments: {increments}, setup_fee: 0.15", 1)
    text = book(TERMS, prices, more='zones:\n  home: ["+34"]\n')
    usages = [
        usage(f"u-{place}", quantity, f"2026-03-{day:02}T10:00:00Z", called_number=called)
        for place, (quantity, day, called) in enumerate(calls)
    ]
    whole = DrawingWorld.of(text).rate(*usages)
    bare = DrawingWorld.of(book("- {id: other, description: O, amount: 1 event}", f"{prices}\n{OTHER}")).rate(*usages)
    world = DrawingWorld.of(text)
    drawn = [rated for start in range(0, len(usages), batch_size) for rated in world.rate(*usages[start : start + batch_size])]
    assert [(taken(each), to_pay(each)) for each in drawn] == [(taken(each), to_pay(each)) for each in whole]
    for each, unpaid in zip(drawn, bare, strict=True):
        steps = sum(amount for id, amount in taken(each).items() if "|s|" in id)
        money = sum(amount for id, amount in taken(each).items() if "|EUR|" in id)
        left = Fraction(each.priced.charged_quantity)
        assert steps + left == unpaid.priced.charged_quantity
        assert to_pay(each) + money == left / 600 + (Fraction("0.15") if left else 0)
    for found in world.stored.values():
        bucket = found.bucket
        assert 0 <= bucket.used + bucket.used_later <= bucket.granted
        if "|rolling|" in bucket.id:
            assert Fraction(bucket.used_later, bucket.denominator) <= 420


STARTS = st.sampled_from(["2026-01-31", "2026-02-28", "2026-03-01", "2026-03-02", "2026-03-20"])
ALL_TERMS = f"""{TERMS}
- {{id: welcome, description: Welcome, amount: 5 min, recurrence: once, validity: 10 days, priority: 0}}
- {{id: ever, description: Ever, amount: 100 min, recurrence: once}}"""


@given(
    st.lists(STARTS, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(20, 31), st.integers(0, 2_000)), max_size=12),
)
def test_customers_draw_in_one_batch_as_each_would_alone(starts: list[str], calls: list[tuple[int, int, int]]) -> None:
    def held(place: int) -> tuple[str, Any]:
        started_at = datetime.fromisoformat(f"{starts[place]}T10:00:00+00:00")
        return f"+3460000000{place}", product(f"line-{place}", account=f"account-{place}", started_at=started_at)

    older = book(ALL_TERMS.replace("100 min", "50 min"), CALLS, more='zones:\n  home: ["+34"]\n')
    newer = book(ALL_TERMS, CALLS, more='zones:\n  home: ["+34"]\n', id="newer", effective_from="2026-03-01")
    usages = [
        usage(f"u-{number}", quantity, f"2026-03-{day:02}T10:00:00Z", identifier=f"+3460000000{place}", called_number="+34911")
        for number, (place, day, quantity) in enumerate(calls)
        if place < len(starts)
    ]
    together = DrawingWorld.of(older, newer, products=map(held, range(len(starts)))).rate(*usages)
    for place in range(len(starts)):
        alone = DrawingWorld.of(older, newer, products=[held(place)])
        for mine in (each for each in together if each.charge.product.id == f"line-{place}"):
            (by_itself,) = alone.rate(mine.usage)
            assert (taken(by_itself), to_pay(by_itself)) == (taken(mine), to_pay(mine))


SHARING = """
id: {id}
effective_from: {since}
currency: EUR
offerings:
  {offering}:
    usage_prices: [{{id: v, description: v, match: {{usage_type: voice}}, price: {{amount: 0.01, per: 1 s}}}}]
    allowances: [{{id: family, description: f, amount: {amount} s, shared: account}}]
"""


def test_books_in_force_together_grant_a_shared_allowance_alike() -> None:
    def sharing(id: str, offering: str, amount: int, since: str = "2020-01-01") -> RateBook:
        return parse_rate_book(SHARING.format(id=id, offering=offering, amount=amount, since=since), f"{id}.yaml")

    with pytest.raises(RateBookInvalid) as refused:
        RateBooks([sharing("one", "big", 1000), sharing("two", "small", 10, "2026-01-01")])
    (fault,) = refused.value.faults
    assert str(fault).startswith("two.yaml:8")
    assert "rate book 'one' grants it otherwise at the same time (one.yaml:8)" in str(fault)
    RateBooks([sharing("one", "big", 1000), sharing("two", "small", 1000)])
    # One after the other is no contradiction.
    RateBooks([sharing("one", "big", 1000), sharing("two", "big", 10, "2026-01-01"), sharing("three", "small", 10, "2026-02-01")])
