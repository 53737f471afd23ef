"""Re-rating: open charges change, cut ones are corrected on the next bill; twice is once, and a dry run is nothing."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.audit import Findings
from libs.audit.charges import audit_charges
from libs.audit.reader import open_reader
from libs.audit.reratings import audit_reratings
from libs.audit.usages import audit_prices
from libs.contracts import (
    Charge,
    ChargeKind,
    ChargesClosed,
    ChargeState,
    RerateCompleted,
    RerateRequested,
    TariffPublished,
    UsageRerated,
)
from libs.periods import calendar_month
from libs.pricing import RateBooks, parse_rate_book
from services.rating import rerating as rerating_store
from tests.rating_world import ZONE, RatingWorld, account, call, cut, number, product

ADA = "+12125550001"
NOW = datetime(2026, 4, 10, 9, tzinfo=UTC)
DISCOUNT = "    discounts: [{id: tenth, description: 10 percent off, percent: 10}]\n"


def book(id: str, *prices: str, effective_from: str = "2026-01-01", more: str = "") -> str:
    """A price list in dollars of the offering `plan`."""
    listed = "\n".join(f"      - {price}" for price in prices)
    return f"id: {id}\neffective_from: {effective_from}\ncurrency: USD\nofferings:\n  plan:\n    usage_prices:\n{listed}\n{more}"


def calls(amount: str, *, id: str = "calls", **terms: str) -> str:
    """A price of calls by the minute."""
    told = "".join(f", {name}: {value}" for name, value in terms.items())
    return f"{{id: {id}, description: Calls, match: {{usage_type: voice}}, price: {{amount: {amount}, per: 60 s}}{told}}}"


def graduated(first: str, then: str, late_usage: str = "continue") -> str:
    """A price of calls that is counted over the month: so much up to 100 s, then so much, per second."""
    tiers = f"[{{up_to: 100 s, price: {{amount: {first}, per: 1 s}}}}, {{price: {{amount: {then}, per: 1 s}}}}]"
    return f"{{id: calls, description: Calls, match: {{usage_type: voice}}, graduated: {tiers}, late_usage: {late_usage}}}"


def request(id: str, month: str = "2026-03", **fields: Any) -> RerateRequested:
    return RerateRequested(**{"id": id, "account_id": "ada", "period": calendar_month(month, ZONE), "requested_at": NOW, **fields})


@pytest.fixture
def first_book() -> str:
    return book("first", calls("0.10"))


@pytest.fixture
def rate_books_dir(tmp_path: Path, first_book: str) -> Path:
    (tmp_path / "first.yaml").write_text(first_book)
    return tmp_path


class Ada:
    """One customer with one product."""

    def __init__(self, rating: RatingWorld) -> None:
        self.rating = rating

    async def open(self) -> None:
        await self.rating.publish(account("ada"), product("line", "ada", number(ADA), offering="plan"))
        await self.rating.settle()

    async def calls(self, *seconds: int, at: str = "2026-03-02 10:00", prefix: str = "u") -> None:
        await self.rating.publish(*(call(f"{prefix}-{position}", ADA, seconds=each, at=at) for position, each in enumerate(seconds)))
        await self.rating.settle()

    async def publish_book(self, *prices: str, id: str = "second", effective_from: str = "2026-02-01", more: str = "") -> None:
        text = book(id, *prices, effective_from=effective_from, more=more)
        await self.rating.publish(TariffPublished.of(id, text, NOW))
        await self.rating.settle()

    async def cut(self, id: str = "cut-1", month: str = "2026-03") -> ChargesClosed:
        await self.rating.publish(cut(id, "ada", month))
        await self.rating.settle()
        return next(fact for fact in await self.rating.facts(ChargesClosed) if fact.id == id)

    async def rerate(self, asked: RerateRequested) -> RerateCompleted:
        await self.rating.publish(asked)
        await self.rating.settle()
        return [fact for fact in await self.rating.facts(RerateCompleted) if fact.id == asked.id][-1]

    async def charges(self) -> dict[str, Charge]:
        return {charge.id: charge for charge in await self.rating.charges()}


@pytest.fixture
async def ada(rating: RatingWorld) -> AsyncIterator[Ada]:
    """The customer; whatever was re-rated, the audit finds prices, re-ratings and charges to be right."""
    customer = Ada(rating)
    await customer.open()
    yield customer
    books = RateBooks(parse_rate_book(document["text"], document["file"]) for document in await rating.documents("tariffs"))
    findings = Findings()
    async with open_reader(rating.settings) as reader:
        await audit_prices(books, reader, findings)
        await audit_reratings(books, reader, findings)
        await audit_charges(reader, findings)
    assert findings.differences == []
    assert not [subject for subject in findings.checked if "re-ratings" in subject and "not priced" in subject]


def sums(charge: Charge) -> Decimal:
    return sum((numerator / int(denominator) for denominator, numerator in charge.sums.items()), Decimal(0))


CALLS = "ada|line|calls|2026-03-01|0"
CORRECTION = "ada|line|calls|2026-03-01|1|corrected"


async def test_an_open_charge_takes_the_difference(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.publish_book(calls("0.05"))
    completed = await ada.rerate(request("r1"))

    assert (completed.usage_count, completed.rerated_count, completed.before, completed.after) == (2, 2, Decimal("0.30"), Decimal("0.15"))
    (charge,) = (await ada.charges()).values()
    assert (charge.id, charge.usage_count, charge.quantity, sums(charge)) == (CALLS, 2, Decimal(180), Decimal("0.15"))
    facts = await ada.rating.facts(UsageRerated)
    assert {(fact.id, fact.number, fact.old[0].rate_book, fact.new[0].rate_book) for fact in facts} == {
        ("r1|u-0", 1, "first", "second"),
        ("r1|u-1", 1, "first", "second"),
    }


async def test_usage_moves_from_the_charge_of_its_old_price_to_that_of_the_new_one(ada: Ada) -> None:
    await ada.calls(60)
    await ada.publish_book(calls("0.20", id="new"))
    completed = await ada.rerate(request("r1"))

    charges = await ada.charges()
    assert (charges[CALLS].usage_count, charges[CALLS].quantity, sums(charges[CALLS])) == (0, 0, 0)
    moved = charges["ada|line|new|2026-03-01|0"]
    assert (moved.usage_count, moved.quantity, sums(moved)) == (1, Decimal(60), Decimal("0.20"))
    assert [(each.before, each.after, each.usage_count) for each in completed.differences] == [
        (Decimal("0.10"), Decimal("0.00"), -1),
        (Decimal("0.00"), Decimal("0.20"), 1),
    ]


async def test_what_was_cut_becomes_a_credit_that_the_next_cut_takes(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.cut()
    await ada.publish_book(calls("0.05"))
    completed = await ada.rerate(request("r1"))

    charges = await ada.charges()
    assert (charges[CALLS].state, charges[CALLS].amount) == (ChargeState.CLOSED, Decimal("0.30"))
    credit = charges[CORRECTION]
    assert (credit.kind, credit.state, credit.usage_count, sums(credit)) == (ChargeKind.ADJUSTMENT, ChargeState.OPEN, 0, Decimal("-0.15"))
    assert credit.period == charges[CALLS].period
    assert [(each.kind, each.before, each.after) for each in completed.differences] == [
        (ChargeKind.ADJUSTMENT, Decimal("0.00"), Decimal("-0.15"))
    ]
    (line,) = (await ada.cut("cut-2", "2026-04")).lines
    assert (line.charge_id, line.kind, line.description, line.amount) == (
        CORRECTION,
        ChargeKind.ADJUSTMENT,
        "Correction: Calls",
        Decimal("-0.15"),
    )


async def test_twice_changes_nothing_whether_repeated_or_asked_anew(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.publish_book(calls("0.05"))
    first = await ada.rerate(request("r1"))
    before = await ada.charges()
    assert await ada.rerate(request("r1")) == first
    second = await ada.rerate(request("r2"))

    assert await ada.charges() == before
    assert (second.usage_count, second.rerated_count, second.differences) == (2, 0, ())
    assert len(await ada.rating.documents("reratings")) == 2


async def test_a_step_that_comes_again_repeats_its_facts(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.publish_book(calls("0.05"))
    completed = await ada.rerate(request("r1"))
    before = await ada.charges()
    # As after a crash between its last posting and its answer.
    await ada.rating.service.database["rerating_requests"].delete_many({})
    again = await ada.rerate(request("r1"))

    assert await ada.charges() == before
    assert again.model_copy(update={"completed_at": completed.completed_at}) == completed
    facts = await ada.rating.facts(UsageRerated)
    assert len(facts) == 4
    assert {fact.id: fact for fact in facts[:2]} == {fact.id: fact for fact in facts[2:]}


async def test_a_request_that_was_answered_repeats_the_facts_of_all_its_steps(ada: Ada, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a crash between keeping its answer and telling it; usage that came since is left alone."""
    monkeypatch.setattr(rerating_store, "RERATED_AT_A_TIME", 1)
    await ada.calls(60, at="2026-03-02 10:00", prefix="first")
    await ada.calls(60, at="2026-03-04 10:00", prefix="last")
    await ada.publish_book(calls("0.05"))
    completed = await ada.rerate(request("r1"))
    await ada.calls(60, at="2026-03-03 10:00", prefix="late")
    before = await ada.charges()
    again = await ada.rerate(request("r1"))

    assert await ada.charges() == before
    assert again == completed
    facts = await ada.rating.facts(UsageRerated)
    assert [fact.id for fact in facts] == ["r1|first-0", "r1|last-0"] * 2
    assert facts[:2] == facts[2:]


async def test_a_dry_run_tells_the_same_and_changes_nothing(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.cut()
    await ada.calls(60, at="2026-03-05 10:00", prefix="late")
    await ada.publish_book(calls("0.05"))
    before = await ada.charges()
    dry = await ada.rerate(request("dry", dry_run=True))
    assert await ada.charges() == before
    assert await ada.rating.facts(UsageRerated) == []
    assert await ada.rating.documents("reratings") == []

    real = await ada.rerate(request("real"))
    same = {"id": "", "dry_run": False, "completed_at": NOW}
    assert dry.model_copy(update=same) == real.model_copy(update=same)
    assert len(real.differences) == 2


async def test_the_old_price_coming_back_gives_back_the_old_amounts(ada: Ada) -> None:
    await ada.calls(60, 120)
    await ada.cut()
    await ada.publish_book(calls("0.05"))
    await ada.rerate(request("r1"))
    completed = await ada.rerate(request("r2", rate_book="first"))

    assert completed.rerated_count == 2
    assert sums((await ada.charges())[CORRECTION]) == 0
    third = await ada.rerate(request("r3", rate_book="first"))
    assert third.rerated_count == 0


async def test_a_correction_that_was_cut_is_corrected_in_turn(ada: Ada) -> None:
    await ada.calls(60)
    await ada.cut()
    await ada.publish_book(calls("0.05"))
    await ada.rerate(request("r1"))
    await ada.cut("cut-2", "2026-04")
    await ada.rerate(request("r2", rate_book="first"))

    charges = await ada.charges()
    assert (charges[CORRECTION].amount, sums(charges["ada|line|calls|2026-03-01|2|corrected"])) == (Decimal("-0.05"), Decimal("0.05"))


async def test_usage_without_a_price_of_today_stays_as_it_is_and_is_told(ada: Ada) -> None:
    await ada.calls(60)
    await ada.publish_book(calls("0.05").replace("voice", "sms"))
    completed = await ada.rerate(request("r1"))

    assert (completed.usage_count, completed.rerated_count, completed.unpriced_count) == (1, 0, 1)
    assert (completed.unpriced_example or "").startswith("u-0: offering 'plan' has no price for voice")


async def test_many_usages_are_done_in_steps_and_told_as_one(ada: Ada, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerating_store, "RERATED_AT_A_TIME", 3)
    await ada.calls(*[60] * 5, at="2026-03-02 10:00", prefix="same-instant")
    for day in range(3, 8):
        await ada.calls(60, at=f"2026-03-{day:02d} 10:00", prefix=f"day-{day}")
    await ada.publish_book(calls("0.05"))
    completed = await ada.rerate(request("r1"))

    assert (completed.usage_count, completed.rerated_count) == (10, 10)
    assert (completed.before, completed.after) == (Decimal("1.00"), Decimal("0.50"))
    assert sums((await ada.charges())[CALLS]) == Decimal("0.50")


async def test_usage_out_of_the_interval_is_left_alone(ada: Ada) -> None:
    await ada.calls(60, at="2026-02-28 23:59", prefix="before")
    await ada.calls(60, at="2026-04-01 00:00", prefix="after")
    await ada.publish_book(calls("0.05"), effective_from="2026-01-15")

    assert (await ada.rerate(request("r1"))).usage_count == 0


async def test_requests_that_cannot_be_met_say_why(ada: Ada) -> None:
    await ada.publish_book(calls("0.05"), id="later", effective_from="2099-01-01")
    unknown = await ada.rerate(request("r1", rate_book="absent"))
    stranger = await ada.rerate(request("r2", account_id="bob"))
    early = await ada.rerate(request("r3", rate_book="later"))

    assert unknown.refusal == "there is no rate book absent: see `tarifa tariff list`"
    assert stranger.refusal == "rating knows no account bob"
    assert (early.refusal or "").startswith("rate book later may still change until 2099-01-01")
    assert (await ada.rerate(request("r4", rate_book="later", dry_run=True))).refusal is None


async def test_usage_keeps_its_offering_unless_the_present_one_is_asked_for(ada: Ada) -> None:
    await ada.calls(60)
    other = book("other", calls("0.30")).replace("  plan:", "  other:")
    await ada.rating.publish(TariffPublished.of("other", other, NOW))
    await ada.rating.publish(product("line", "ada", number(ADA), offering="other", revision=2))
    await ada.rating.settle()

    assert (await ada.rerate(request("r1"))).rerated_count == 0
    completed = await ada.rerate(request("r2", by_present_offering=True))
    assert (completed.rerated_count, completed.after) == (1, Decimal("0.30"))
    # It stands by the other offering now, which a plain request keeps to.
    assert (await ada.rerate(request("r3"))).rerated_count == 0


async def test_a_cut_in_the_midst_of_it_loses_nothing(ada: Ada, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerating_store, "RERATED_AT_A_TIME", 5)
    for day in range(1, 21):
        await ada.rating.publish(*(call(f"u-{day}-{number}", ADA, seconds=60, at=f"2026-03-{day:02d} 10:00") for number in range(5)))
    await ada.rating.settle()
    await ada.publish_book(calls("0.05"))
    await ada.rating.publish(request("r1"), cut("cut-1", "ada"), request("r2"))
    await ada.rating.settle()

    charges = await ada.charges()
    assert sum(map(sums, charges.values())) == Decimal("5.00")
    assert sum(charge.usage_count for charge in charges.values()) == 100
    assert {document["number"] for document in await ada.rating.documents("reratings")} == {1}
    assert len(await ada.rating.documents("reratings")) == 100


class TestDiscounts:
    """They are of a month, whatever corrects it."""

    @pytest.fixture
    def first_book(self) -> str:
        return book("first", calls("0.10"), more=DISCOUNT)

    async def test_a_correction_brings_its_share_of_the_discount(self, ada: Ada) -> None:
        await ada.calls(6000)
        first = await ada.cut()
        await ada.publish_book(calls("0.05"), more=DISCOUNT)
        await ada.rerate(request("r1"))
        second = await ada.cut("cut-2", "2026-04")

        assert [(line.kind, line.amount) for line in first.lines] == [
            (ChargeKind.USAGE, Decimal("10.00")),
            (ChargeKind.DISCOUNT, Decimal("-1.00")),
        ]
        assert [(line.kind, line.amount) for line in second.lines] == [
            (ChargeKind.ADJUSTMENT, Decimal("-5.00")),
            (ChargeKind.DISCOUNT, Decimal("0.50")),
        ]


class TestAllowances:
    """What they paid stays paid."""

    @pytest.fixture
    def first_book(self) -> str:
        return book("first", calls("0.60"), more="    allowances: [{id: minute, description: 1 minute, amount: 1 min}]\n")

    async def test_only_what_was_not_covered_is_priced_anew(self, ada: Ada) -> None:
        await ada.calls(90)
        assert (await ada.rerate(request("r1"))).rerated_count == 0
        await ada.publish_book(calls("1.20"))
        completed = await ada.rerate(request("r2"))

        assert (completed.before, completed.after) == (Decimal("0.30"), Decimal("0.60"))
        (bucket,) = await ada.rating.documents("buckets")
        assert bucket["used"] == 60


class TestPricesThatCountTheMonth:
    """Quantities move; what they cost depends on all of the month."""

    @pytest.fixture
    def first_book(self) -> str:
        return book("first", graduated("0.10", "0.01"))

    async def test_an_open_charge_moves_to_other_tiers_as_a_whole(self, ada: Ada) -> None:
        await ada.calls(60, 90)
        await ada.publish_book(graduated("0.20", "0.01"))
        completed = await ada.rerate(request("r1"))

        assert (completed.before, completed.after) == (Decimal("10.50"), Decimal("20.50"))

    async def test_what_was_cut_is_corrected_by_what_the_rest_of_the_month_costs_without_it(self, ada: Ada) -> None:
        await ada.calls(60, 90)
        await ada.cut()
        await ada.publish_book(graduated("0.20", "0.01"))
        completed = await ada.rerate(request("r1"))

        # Billed 10.50, and 20.50 is right: the old charge is taken back, the new one charged.
        assert completed.after - completed.before == Decimal("10.00")
        closed = await ada.cut("cut-2", "2026-04")
        assert sorted(line.amount for line in closed.lines) == [Decimal("-10.50"), Decimal("20.50")]

    async def test_late_usage_after_a_correction_goes_on_counting_from_it(self, ada: Ada) -> None:
        await ada.calls(60, 90)
        await ada.cut()
        await ada.publish_book(graduated("0.20", "0.01"))
        await ada.rerate(request("r1"))
        await ada.calls(10, at="2026-03-09 10:00", prefix="late")

        closed = await ada.cut("cut-2", "2026-04")
        assert sum(line.amount for line in closed.lines) == Decimal("10.10")


class TestLateUsageThatCountsAnew:
    """Then a correction stands alone beside it."""

    @pytest.fixture
    def first_book(self) -> str:
        return book("first", graduated("0.10", "0.01", late_usage="restart"))

    async def test_what_was_cut_is_corrected_from_what_it_counted(self, ada: Ada) -> None:
        await ada.calls(60, 90)
        await ada.cut()
        await ada.calls(10, at="2026-03-09 10:00", prefix="late")
        dearer = graduated("0.10", "0.01", late_usage="restart").replace("late_usage", "increments: 100/1, late_usage")
        await ada.publish_book(dearer)
        completed = await ada.rerate(request("r1"))

        # Three calls are charged 100 s each: the cut 150 s become 200 s, at 0.01; the late 10 s, which are open, become 100 s at 0.10.
        assert {(each.kind, each.after - each.before) for each in completed.differences} == {
            (ChargeKind.ADJUSTMENT, Decimal("0.50")),
            (ChargeKind.USAGE, Decimal("9.00")),
        }
        charges = await ada.charges()
        (correction,) = (charge for charge in charges.values() if charge.kind is ChargeKind.ADJUSTMENT)
        assert correction.tiers is not None
        assert (correction.tiers.counted_before, correction.quantity) == (Decimal(150), Decimal(50))
