"""Cuts: what an account owes is closed once, whatever comes again or late."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.contracts import (
    AccountParked,
    AppliedTax,
    BillIssued,
    BillLine,
    ChargesClosed,
    ChargeState,
    CutRefused,
    MessageParked,
    PostalAddress,
    RunType,
    UsageRated,
)
from libs.money import sum_fractions
from libs.periods import calendar_month
from tests.rating_world import ZONE, RatingWorld, account, call, cut, cut_now, number, product

ADA = "+12125550001"


async def test_a_cut_closes_what_an_account_owes_and_repeats_its_answer(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=600), call("u-2", ADA, seconds=60, at="2026-03-02 23:00"))
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"), cut("cut-1", "ada"))
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()

    first, *repeats = await rating.facts(ChargesClosed)
    assert repeats == [first, first]
    assert first.period == calendar_month("2026-03", ZONE)
    assert {line.price_id: (line.amount, line.usage_count, line.quantity) for line in first.lines} == {
        "voice-day": (Decimal("1.70"), 1, 600),
        "voice-night": (Decimal("0.05"), 1, 60),
    }
    charges = await rating.charges()
    assert {(charge.state, charge.cut_id) for charge in charges} == {(ChargeState.CLOSED, "cut-1")}


async def test_usage_later_than_the_cut_opens_the_next_sequence_of_its_own_month(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(call("late", ADA, at="2026-03-31 23:59"), call("late-too", ADA), call("april", ADA, at="2026-04-02 10:00"))
    await rating.settle()
    await rating.publish(cut("cut-april", "ada", "2026-04"))
    await rating.settle()

    march, april = await rating.facts(ChargesClosed)
    assert [line.charge_id for line in march.lines] == ["ada|ada-line|voice-day|2026-03-01|0"]
    assert {line.charge_id: line.period for line in april.lines} == {
        "ada|ada-line|voice-day|2026-03-01|1": calendar_month("2026-03", ZONE),
        "ada|ada-line|voice-night|2026-03-01|1": calendar_month("2026-03", ZONE),
        "ada|ada-line|voice-day|2026-04-01|0": calendar_month("2026-04", ZONE),
    }


async def test_a_cycle_cut_leaves_the_months_after_it_open(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("march", ADA), call("april", ADA, at="2026-04-02 10:00"))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()

    assert [(charge.period.start.month, charge.state) for charge in await rating.charges()] == [
        (3, ChargeState.CLOSED),
        (4, ChargeState.OPEN),
    ]


async def test_a_cut_on_demand_closes_all_that_is_open_up_to_now(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("february", ADA, at="2026-02-27 10:00"), call("march", ADA))
    await rating.settle()
    now = datetime(2026, 3, 20, 9, tzinfo=UTC)
    await rating.publish(cut_now("demand-1", "ada", now), cut_now("demand-2", "ada", now))
    await rating.settle()

    first, second = await rating.facts(ChargesClosed)
    assert (first.period.start, first.period.end) == (calendar_month("2026-02", ZONE).start, now)
    assert len(first.lines) == 2
    assert (second.id, second.lines) == ("demand-2", ())


async def test_the_charges_of_a_cut_that_is_never_billed_go_to_the_next_one(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=600))
    await rating.settle()
    await rating.publish(cut_now("demand-1", "ada"))
    await rating.settle()
    await rating.publish(never_billed("demand-1", "ada"))
    await rating.settle()
    await rating.publish(call("late", ADA))
    await rating.settle()
    waiting = {charge.sequence: charge for charge in await rating.charges()}
    assert {sequence: (charge.state, charge.usage_count) for sequence, charge in waiting.items()} == {
        0: (ChargeState.RETURNED, 1),
        1: (ChargeState.OPEN, 1),
    }
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(never_billed("demand-1", "ada"), cut_now("demand-1", "ada"), cut("cut-april", "ada", "2026-04"))
    await rating.settle()

    closed = {closed.id: closed for closed in await rating.facts(ChargesClosed)}
    assert [(line.charge_id, line.amount) for line in closed["demand-1"].lines] == [(waiting[0].id, Decimal("1.70"))]
    assert [(line.charge_id, line.amount) for line in closed["cut-march"].lines] == [
        (waiting[0].id, Decimal("1.70")),
        (waiting[1].id, Decimal("0.17")),
    ]
    assert closed["cut-april"].lines == ()
    assert {(charge.state, charge.cut_id) for charge in await rating.charges()} == {(ChargeState.CLOSED, "cut-march")}


async def test_what_its_run_may_still_bill_stays_with_its_cut(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA))
    await rating.settle()
    await rating.publish(cut("cut-march", "ada"))
    await rating.settle()
    await rating.publish(never_billed("cut-march", "ada").model_copy(update={"is_final": False}))
    await rating.settle()
    await rating.publish(cut("cut-april", "ada", "2026-04"))
    await rating.settle()

    assert [(closed.id, len(closed.lines)) for closed in await rating.facts(ChargesClosed)] == [("cut-march", 1), ("cut-april", 0)]
    assert {(charge.state, charge.cut_id) for charge in await rating.charges()} == {(ChargeState.CLOSED, "cut-march")}


async def test_a_cut_of_an_unknown_account_is_refused_and_made_once_it_is_known(rating: RatingWorld) -> None:
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()
    await rating.customer("ada", ADA)
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()

    (refused,) = await rating.facts(CutRefused)
    assert (refused.id, "ada" in refused.reason) == ("cut-1", True)
    (closed,) = await rating.facts(ChargesClosed)
    assert closed.lines == ()


async def test_no_usage_is_lost_or_counted_twice_when_cuts_and_usage_meet(rating: RatingWorld) -> None:
    accounts = [f"a{i}" for i in range(10)]
    await rating.publish(*map(account, accounts), *(product(f"{id}-line", id, number(f"+1{id}")) for id in accounts))
    await rating.settle()

    async def use() -> None:
        for part in range(20):
            await rating.publish(*(call(f"u-{part}-{i}", f"+1{id}", seconds=i % 7) for i, id in enumerate(accounts * 10)))

    async def bill() -> None:
        for part in range(20):
            await rating.publish(*(cut_now(f"cut-{part}-{id}", id) for id in accounts))

    await asyncio.gather(use(), bill())
    await rating.settle()
    await rating.publish(*(cut_now(f"cut-last-{id}", id) for id in accounts))
    await rating.settle()

    lines = [line for closed in await rating.facts(ChargesClosed) for line in closed.lines]
    assert len({line.charge_id for line in lines}) == len(lines)
    assert sum(line.usage_count for line in lines) == len(await rating.facts(UsageRated)) == 2_000
    charges = await rating.charges()
    assert {charge.state for charge in charges} == {ChargeState.CLOSED}
    for charge in charges:
        usages = await rating.documents("usage", charge_id=charge.id)
        assert len(usages) == charge.usage_count
        assert sum_fractions(charge.sums) == sum_fractions({str(usages[0]["denominator"]): sum(usage["numerator"] for usage in usages)})


async def test_a_billed_charge_knows_its_bill_and_is_never_on_two(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=600))
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()
    (closed,) = await rating.facts(ChargesClosed)
    await rating.publish(bill("bill-1", closed), bill("bill-1", closed))
    await rating.settle()
    await rating.publish(bill("bill-2", closed))
    await rating.settle()

    (charge,) = await rating.charges()
    assert (charge.state, charge.bill_id) == (ChargeState.BILLED, "bill-1")
    assert charge.applied_taxes == (AppliedTax(category="standard", rate=Decimal(10), amount=Decimal("0.17")),)
    (parked,) = await rating.facts(MessageParked)
    assert "bill-1 already" in parked.reason


async def test_of_two_bills_that_come_together_with_one_charge_the_second_is_parked(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=600))
    await rating.settle()
    await rating.publish(cut("cut-1", "ada"))
    await rating.settle()
    (closed,) = await rating.facts(ChargesClosed)
    await rating.publish(bill("bill-1", closed), bill("bill-2", closed))
    await rating.settle()

    (charge,) = await rating.charges()
    assert (charge.state, charge.bill_id) == (ChargeState.BILLED, "bill-1")
    (parked,) = await rating.facts(MessageParked)
    assert "bill-1 already" in parked.reason


@pytest.mark.parametrize("otherwise", [{"currency": "EUR"}, {"zone": "UTC"}])
async def test_an_account_keeps_the_currency_and_the_zone_that_its_charges_are_in(rating: RatingWorld, otherwise: dict[str, str]) -> None:
    await rating.publish(account("ada"))
    await rating.settle()
    await rating.publish(account("ada", revision=2, **otherwise))
    await rating.settle()

    (parked,) = await rating.facts(MessageParked)
    assert "open another account" in parked.reason
    (kept,) = await rating.documents("accounts")
    assert (kept["currency"], kept["time_zone"]) == ("USD", ZONE)


def never_billed(cut_id: str, account_id: str) -> AccountParked:
    """Invoicing's last word on a cut."""
    return AccountParked(id=cut_id, account_id=account_id, run_type=RunType.OFF_CYCLE, cause_id=cut_id, reason="no tax rate", is_final=True)


def bill(id: str, closed: ChargesClosed) -> BillIssued:
    """A bill of everything that a cut closed, with ten percent tax."""
    total = sum(line.amount for line in closed.lines)
    tax = AppliedTax(category="standard", rate=Decimal(10), amount=total / 10)
    at = datetime(2026, 4, 2, tzinfo=UTC)
    return BillIssued(
        id=id,
        bill_no=id,
        account_id=closed.account_id,
        account_name=closed.account_id,
        address=PostalAddress(),
        run_type=RunType.ON_CYCLE,
        cut_id=closed.id,
        cause_id=closed.cause_id,
        period=closed.period,
        bill_date=at,
        payment_due_at=at,
        currency=closed.currency,
        time_zone=ZONE,
        lines=tuple(BillLine(**line.model_dump(), taxes=(tax,)) for line in closed.lines),
        tax_items=(tax,),
        tax_excluded_amount=total,
        tax_included_amount=total + tax.amount,
        amount_due=total + tax.amount,
        remaining_amount=total + tax.amount,
        documents=(),
        template_version="1",
        last_update_at=at,
    )


async def test_an_account_whose_cut_always_fails_is_refused_and_the_others_are_cut(rating: RatingWorld) -> None:
    """MongoDB refuses the cut of one account whatever is tried, as it did two charges of one id."""
    others = [f"bob-{number}" for number in range(12)]
    await rating.publish(*(account(id) for id in ("ada", *others)))
    await rating.settle()
    cuts = rating.service.database["cuts"]
    await cuts.insert_one({"_id": "in the way", "account_id": "ada", "cause_id": "monthly:2026-03"})
    index = await cuts.create_index("cause_id", unique=True, partialFilterExpression={"account_id": "ada"})
    asked = [cut(f"cut-{id}", id) for id in (*others[:6], "ada", *others[6:])]
    await rating.publish(*asked)
    await rating.settle()

    (refused,) = await rating.facts(CutRefused)
    assert (refused.id, refused.account_id) == ("cut-ada", "ada")
    assert "E11000" in refused.reason
    assert {closed.account_id for closed in await rating.facts(ChargesClosed)} == set(others)
    assert await rating.facts(MessageParked) == []

    await cuts.drop_index(index)
    await cuts.delete_one({"_id": "in the way"})
    await rating.publish(cut("cut-ada", "ada"))
    await rating.settle()
    assert "ada" in {closed.account_id for closed in await rating.facts(ChargesClosed)}
