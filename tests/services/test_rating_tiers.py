"""Usage that counts the month, and usage that is split: over batches, late, and again; on real Kafka and MongoDB."""

import asyncio
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from libs.contracts import AccountParked, ChargesClosed, RunType, SuspenseRetryRequested, UsageRated, UsageRejected
from libs.pricing.charge_amount import exact_amount
from tests.rating_world import RatingWorld, account, call, cut, cut_now, number, product
from tests.world import build_service

ADA = "+12125550001"
BOOK = """
id: month
effective_from: 2020-01-01
currency: USD
time_bands:
  day: {hours: 08:00-18:00}
  evening: {hours: 18:00-08:00}
offerings:
  counted:
    discounts:
      - {id: loyal, description: For loyalty, percent: 10}
    usage_prices:
      - id: minutes
        description: Minutes
        match: {usage_type: voice}
        graduated: [{up_to: 100 s, price: {amount: 0.10, per: 1 s}}, {price: {amount: 0.05, per: 1 s}}]
  anew:
    usage_prices:
      - id: minutes
        description: Minutes
        match: {usage_type: voice}
        graduated: [{up_to: 100 s, price: {amount: 0.10, per: 1 s}}, {price: {amount: 0.05, per: 1 s}}]
        late_usage: restart
  two:
    usage_prices:
      - {id: plain, description: Calls, match: {usage_type: voice}, price: {amount: 0.12, per: 60 s}}
      - id: texts
        description: Texts
        match: {usage_type: sms}
        graduated: [{up_to: 100 message, price: {amount: 0.10, per: 1 message}}, {price: {amount: 0.05, per: 1 message}}]
  split:
    crossing: split
    usage_prices:
      - {id: day, description: By day, match: {usage_type: voice, time_band: day}, price: {amount: 0.12, per: 60 s}, setup_fee: 0.10}
      - {id: evening, description: In the evening, match: {usage_type: voice, time_band: evening}, price: {amount: 0.06, per: 60 s}}
"""


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    """One book with an offering for each story."""
    (tmp_path / "month.yaml").write_text(BOOK)
    return tmp_path


async def amounts(rating: RatingWorld) -> dict[int, Fraction]:
    """The exact amount of each sequence so far."""
    return {charge.sequence: exact_amount(charge) for charge in await rating.charges(kind="usage")}


async def test_a_graduated_price_goes_over_its_tiers_however_many_batches_bring_the_usage(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="counted")
    await rating.publish(call("u-1", ADA, seconds=60))
    await rating.settle()
    assert await amounts(rating) == {0: 6}
    await rating.publish(call("u-2", ADA, seconds=60), call("u-1", ADA, seconds=60))
    await rating.settle()

    (charge,) = await rating.charges()
    assert (charge.usage_count, charge.quantity, exact_amount(charge)) == (2, 120, 11)
    first, repeated = (fact for fact in await rating.facts(UsageRated) if fact.id == "u-1")
    assert (first.numerator, first.charged_quantity, repeated) == (0, 60, first)


@pytest.mark.parametrize(("offering", "late"), [("counted", 3), ("anew", 6)])
async def test_late_usage_goes_on_counting_or_begins_anew_as_its_price_says(rating: RatingWorld, offering: str, late: int) -> None:
    await rating.customer("ada", ADA, offering=offering)
    await rating.publish(call("u-1", ADA, seconds=120))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(call("late", ADA, seconds=60))
    await rating.settle()
    assert await amounts(rating) == {0: 11, 1: late}
    await rating.publish(call("late-too", ADA, seconds=20), call("late", ADA, seconds=60))
    await rating.settle()

    assert await amounts(rating) == {0: 11, 1: late + (1 if offering == "counted" else 2)}


async def test_late_usage_of_a_month_without_any_begins_where_the_month_stands(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="two")
    await rating.publish(call("u-1", ADA))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    # Nothing but the cut itself tells that there was one: no charge of texts was sealed.
    for late in range(2):
        await rating.publish(call(f"late-{late}", ADA, usage_type="sms", unit="message", seconds=90))
        await rating.settle()

    (texts,) = await rating.charges(price_id="texts")
    assert (texts.sequence, texts.quantity, exact_amount(texts)) == (1, 180, 14)


async def test_on_demand_bills_within_a_month_add_up_to_what_one_bill_would_say(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="counted")
    for step, seconds in enumerate((0, 70, 50, 30)):
        await rating.publish(call(f"u-{step}", ADA, seconds=seconds))
        await rating.settle()
        await rating.publish(cut_now(f"now-{step}", "ada"))
        await rating.settle()

    usage_lines = [line.amount for closed in await rating.facts(ChargesClosed) for line in closed.lines if line.kind == "usage"]
    assert usage_lines == [Decimal("0.00"), Decimal("7.00"), Decimal("4.00"), Decimal("1.50")]
    charges = {charge.sequence: charge for charge in await rating.charges(kind="usage")}
    tiers = [charges[sequence].tiers for sequence in range(4)]
    assert [(each.counted_before, each.usage_count_before) for each in tiers if each] == [(0, 0), (0, 1), (70, 2), (120, 3)]


async def test_tiers_are_gone_through_once_while_two_workers_rate_and_cuts_are_made(rating: RatingWorld, rate_books_dir: Path) -> None:
    accounts = [f"a{place}" for place in range(6)]
    # Two numbers each: both workers add to the same charges.
    products = [product(f"{id}-line", id, number(f"+1{id}"), number(f"+2{id}"), offering="counted") for id in accounts]
    await rating.publish(*map(account, accounts), *products)
    await rating.settle()

    async def use() -> None:
        for part in range(20):
            await rating.publish(
                *(call(f"u-{part}-{line}-{id}", f"+{line}{id}", seconds=part % 5 + 1) for id in accounts for line in (1, 2))
            )

    async def bill() -> None:
        for part in range(10):
            await rating.publish(*(cut_now(f"cut-{part}-{id}", id) for id in accounts))

    async with build_service("rating", rating.settings, rating_batch_size=7, rate_books_dir=rate_books_dir).running():
        await asyncio.gather(use(), bill())
        await rating.settle()

    charges = await rating.charges(kind="usage")
    for id in accounts:
        sequences = sorted((charge for charge in charges if charge.account_id == id), key=lambda charge: charge.sequence)
        # 2 x 20 calls of 1 to 5 s: 120 s are a hundred at 0.10 and twenty at 0.05.
        assert sum(charge.quantity for charge in sequences) == 120
        assert sum(exact_amount(charge) for charge in sequences) == 11, [
            (charge.sequence, charge.quantity, charge.tiers) for charge in sequences
        ]


SPLIT_AT = "2026-03-02 17:30"


async def test_a_call_that_is_split_adds_to_two_charges_once(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="split")
    split = call("split", ADA, seconds=3600, at=SPLIT_AT)
    await rating.publish(split, split)
    await rating.settle()
    await rating.publish(split, call("whole", ADA, seconds=60, at="2026-03-02 19:00"))
    await rating.settle()

    facts = [fact for fact in await rating.facts(UsageRated) if fact.id == "split"]
    assert facts == [facts[0]] * 3
    assert [(part.price_id, part.charged_quantity) for part in facts[0].parts] == [("day", 1800), ("evening", 1800)]
    assert Fraction(facts[0].numerator, facts[0].denominator) == Fraction("5.50")
    charges = {charge.price_id: charge for charge in await rating.charges()}
    assert {id: (charge.usage_count, charge.quantity, exact_amount(charge)) for id, charge in charges.items()} == {
        "day": (1, 1800, Fraction("3.70")),
        "evening": (2, 1860, Fraction("1.86")),
    }


async def test_a_split_call_that_comes_after_the_cut_of_its_charges_opens_the_next_sequence_of_both(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="split")
    await rating.publish(call("u-1", ADA, seconds=3600, at=SPLIT_AT))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(call("late", ADA, seconds=3600, at=SPLIT_AT))
    await rating.settle()

    assert sorted((charge.price_id, charge.sequence, charge.usage_count) for charge in await rating.charges()) == [
        ("day", 0, 1),
        ("day", 1, 1),
        ("evening", 0, 1),
        ("evening", 1, 1),
    ]


async def test_a_suspended_call_is_split_when_it_is_retried(rating: RatingWorld) -> None:
    await rating.publish(call("split", ADA, seconds=3600, at=SPLIT_AT))
    await rating.settle()
    assert [refused.usage_id for refused in await rating.facts(UsageRejected)] == ["split"]
    # Else the product would have its usage rated by itself.
    await rating.service.database["suspense"].update_many({}, {"$unset": {"waits_for": 1}})
    await rating.customer("ada", ADA, offering="split")
    for _ in range(2):
        await rating.publish(SuspenseRetryRequested(id="retry"))
        await rating.settle()

    first, *repeats = await rating.facts(UsageRated)
    assert repeats == [first]
    assert len(first.parts) == 2
    assert [charge.usage_count for charge in await rating.charges()] == [1, 1]


async def test_what_a_cut_adjusts_is_billed_once_when_that_cut_never_is(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA, offering="counted")
    await rating.publish(call("u-1", ADA, seconds=100))
    await rating.settle()
    await rating.publish(cut("first", "ada"))
    await rating.settle()
    gone = AccountParked(id="first", account_id="ada", run_type=RunType.ON_CYCLE, cause_id="run", reason="cancelled", is_final=True)
    await rating.publish(gone, call("late", ADA, seconds=20))
    await rating.settle()
    await rating.publish(cut("second", "ada"), cut("second", "ada"))
    await rating.settle()

    first, second, repeated = await rating.facts(ChargesClosed)
    assert repeated == second
    assert {(line.kind, line.amount) for line in first.lines} == {("usage", Decimal("10.00")), ("discount", Decimal("-1.00"))}
    # The late 20 seconds are 1.00, so what is added to the discount that was returned is another tenth of that.
    assert sorted((line.kind, line.amount) for line in second.lines) == [
        ("discount", Decimal("-1.00")),
        ("discount", Decimal("-0.10")),
        ("usage", Decimal("1.00")),
        ("usage", Decimal("10.00")),
    ]
    assert {charge.cut_id for charge in await rating.charges()} == {"second"}
