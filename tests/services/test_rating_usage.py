"""Usage becomes charges: guiding, sums, suspense and repeats, on real Kafka and MongoDB."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.contracts import RejectionReason, UsageRated, UsageRejected
from libs.money import round_to_minor_unit, sum_fractions
from services.rating.documents import earlier_answer
from services.rating.domain.deciding import Earlier
from tests.rating_world import RatingWorld, account, call, number, product

ADA, BOB = "+12125550001", "+12125550002"


async def test_a_usage_becomes_a_charge(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=600))
    await rating.settle()

    (rated,) = await rating.facts(UsageRated)
    assert (rated.account_id, rated.price_id, Decimal(rated.numerator) / rated.denominator) == ("ada", "voice-day", Decimal("1.7"))
    (charge,) = await rating.charges()
    assert charge.id == rated.charge_id == "ada|ada-line|voice-day|2026-03-01|0"
    assert (charge.usage_count, charge.quantity, charge.amount, charge.currency) == (1, 600, None, "USD")
    assert sum_fractions(charge.sums) == Decimal("1.7")
    assert charge.period.start == datetime(2026, 3, 1, 5, tzinfo=UTC)


async def test_a_stored_usage_says_all_that_an_auditor_needs(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    received = call("u-1", ADA, seconds=Decimal("61.5"), characteristics={"$cell.id": "7", "a.b": "c"})
    await rating.publish(received)
    await rating.settle()

    (rated,) = await rating.facts(UsageRated)
    (stored,) = await rating.documents("usage")
    assert earlier_answer(stored) == Earlier(received, rated)


async def test_a_reused_number_belongs_to_whoever_held_it_at_the_time(rating: RatingWorld) -> None:
    ported_at = datetime(2026, 3, 10, 17, tzinfo=UTC)
    await rating.publish(
        account("ada"),
        account("bob"),
        product("old", "ada", number(ADA, valid_to=ported_at)),
        product("new", "bob", number(ADA, valid_from=ported_at)),
    )
    await rating.settle()
    await rating.publish(
        call("before", ADA, started_at=datetime(2026, 3, 10, 16, 59, 59, tzinfo=UTC)),
        call("at", ADA, started_at=ported_at),
        call("after", ADA, started_at=datetime(2026, 3, 20, tzinfo=UTC)),
    )
    await rating.settle()

    assert {rated.id: rated.product_id for rated in await rating.facts(UsageRated)} == {"before": "old", "at": "new", "after": "new"}


async def test_a_product_that_changes_is_seen_by_the_very_next_usage(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA))
    await rating.settle()
    ended_at = datetime(2026, 3, 5, tzinfo=UTC)
    await rating.publish(product("ada-line", "ada", number(ADA), revision=2, ended_at=ended_at))
    await rating.settle()
    await rating.publish(call("u-2", ADA, started_at=ended_at))
    await rating.settle()

    (rejected,) = await rating.facts(UsageRejected)
    assert (rejected.usage_id, rejected.reason) == ("u-2", RejectionReason.UNKNOWN_PRODUCT)
    assert "ada-line" in rejected.detail


UNRATABLE = (
    (RejectionReason.UNKNOWN_PRODUCT, {"identifier": "+19990000000"}),
    (RejectionReason.UNKNOWN_ACCOUNT, {"identifier": "orphan"}),
    (RejectionReason.NO_PRICE, {"usage_type": "data"}),
    (RejectionReason.WRONG_CURRENCY, {"identifier": "euro"}),
    (RejectionReason.WRONG_UNIT, {"unit": "byte"}),
    (RejectionReason.NEGATIVE_QUANTITY, {"quantity": -1}),
    (RejectionReason.ABSURD_QUANTITY, {"quantity": Decimal(10) ** 30}),
    (RejectionReason.IN_THE_FUTURE, {"started_at": datetime(2999, 1, 1, tzinfo=UTC)}),
    (RejectionReason.TOO_OLD, {"started_at": datetime(1999, 1, 1, tzinfo=UTC)}),
)


async def test_what_cannot_be_rated_waits_in_suspense_with_its_reason(rating: RatingWorld) -> None:
    await rating.publish(
        account("ada"),
        account("eve", currency="EUR"),
        product("line", "ada", number(ADA)),
        product("orphan", "nobody", number("orphan")),
        product("euro", "eve", number("euro")),
    )
    await rating.settle()
    await rating.publish(call("good", ADA), *(call(f"bad-{i}", ADA, **fields) for i, (_, fields) in enumerate(UNRATABLE)))
    await rating.settle()

    rejected = {refusal.usage_id: refusal for refusal in await rating.facts(UsageRejected)}
    assert {id: refusal.reason for id, refusal in rejected.items()} == {f"bad-{i}": reason for i, (reason, _) in enumerate(UNRATABLE)}
    assert all("retry" in refusal.detail or "discard" in refusal.detail for refusal in rejected.values())
    entries = {entry["usage"]["_id"]: entry for entry in await rating.documents("suspense")}
    assert {id: (entry["_id"], entry["reason"], entry["state"]) for id, entry in entries.items()} == {
        id: (refusal.suspense_id, refusal.reason, "open") for id, refusal in rejected.items()
    }
    assert [rated.id for rated in await rating.facts(UsageRated)] == ["good"]


async def test_the_same_usage_again_is_the_same_answer_and_counts_once(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA), call("u-1", ADA), call("bad", ADA, unit="byte"))
    await rating.settle()
    await rating.publish(call("u-1", ADA), call("bad", ADA, unit="byte"))
    await rating.settle()

    first, *repeats = await rating.facts(UsageRated)
    assert repeats == [first, first]
    first_refusal, second_refusal = await rating.facts(UsageRejected)
    assert first_refusal == second_refusal
    (charge,) = await rating.charges()
    assert charge.usage_count == 1
    assert len(await rating.documents("suspense")) == 1


@pytest.mark.parametrize("together", [True, False])
async def test_a_used_id_with_another_body_is_suspended_and_the_first_stands(rating: RatingWorld, together: bool) -> None:
    await rating.customer("ada", ADA)
    await rating.publish(call("u-1", ADA, seconds=60))
    if not together:
        await rating.settle()
    await rating.publish(call("u-1", ADA, seconds=61), call("u-1", ADA, seconds=62), call("u-1", ADA, seconds=61))
    await rating.settle()

    refusals = await rating.facts(UsageRejected)
    assert {refusal.reason for refusal in refusals} == {RejectionReason.DUPLICATE_ID}
    assert [entry["usage"]["quantity"] for entry in await rating.documents("suspense")] in ([61, 62], [62, 61])
    (charge,) = await rating.charges()
    assert (charge.usage_count, charge.quantity) == (1, 60)


async def test_a_sum_on_an_exact_half_cent_is_rounded_up_once(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    # 109 calls of 1 s to 109 s and one of 155 s: 6150 s at 0.17 a minute are 17.425.
    calls = [call(f"u-{seconds}", ADA, seconds=seconds) for seconds in range(1, 110)]
    await rating.publish(*calls, call("u-110", ADA, seconds=155))
    await rating.settle()

    (charge,) = await rating.charges()
    assert (charge.usage_count, charge.quantity) == (110, 6150)
    assert sum_fractions(charge.sums) == Decimal("17.425")
    assert round_to_minor_unit(sum_fractions(charge.sums), "USD") == Decimal("17.43")


def with_fields(id: str, fields: dict[str, Any]) -> bytes:
    """A call whose message says something else in these fields."""
    return json.dumps({**json.loads(call(id, ADA).to_message()), **fields}).encode()


POISON = (
    b"",
    b"\x00\x00",
    b"{",
    b"5",
    b"null",
    b'"usage"',
    b"\xff\xfe{}",
    b'{"id": "p-1"}',
    with_fields("p-2", {"quantity": "many"}),
    with_fields("p-3", {"quantity": float("nan")}),
    with_fields("p-4", {"quantity": "Infinity"}),
    with_fields("p-5", {"identifier": ["+1"]}),
    with_fields("p-6", {"id": "nul\x00nul"}),
    with_fields("p-7", {"called_number": "9" * 1_000_000}),
    with_fields("a-2", {"quantity": "1E+999999"}),
    with_fields("a-3", {"quantity": "1E-999999"}),
    with_fields("a-4", {"quantity": "1." + "1" * 60}),
    with_fields("p-8", {"started_at": "yesterday"}),
    with_fields("p-9", {"characteristics": {"k" * 1_000_000: "v"}}),
    with_fields("p-10", {"id": "\ud800"}),
    b'{"id":' * 10_000,
)
ABSURD = (
    with_fields("a-1", {"quantity": 10**30}),
    with_fields("a-5", {"quantity": -1}),
)


async def test_poison_spoils_nothing_but_itself(rating: RatingWorld) -> None:
    await rating.customer("ada", ADA)
    bad = len(POISON) + len(ABSURD)
    good_count = 99 * bad
    for chunk in range(bad):
        await rating.publish(*(call(f"u-{chunk}-{i}", ADA, seconds=1) for i in range(99)))
        await rating.publish_raw((POISON + ABSURD)[chunk])
    await rating.settle()

    (charge,) = await rating.charges()
    assert charge.usage_count == good_count
    entries = await rating.documents("suspense")
    assert len(entries) == bad
    assert {entry["body"] is None for entry in entries if entry["reason"] == "malformed"} == {False}
    assert sum(entry["reason"] == "malformed" for entry in entries) == len(POISON)


async def test_the_whole_topic_delivered_twice_changes_nothing(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), account("bob"), product("a", "ada", number(ADA)), product("b", "bob", number(BOB)))
    await rating.settle()
    calls = [call(f"u-{i}", (ADA, BOB)[i % 2], seconds=i) for i in range(500)]
    strange = [call("u-3", ADA, seconds=1), call("x", "+1999"), call("y", ADA, unit="byte")]

    async def deliver() -> None:
        await rating.publish(*calls, *strange)
        await rating.publish_raw(*POISON[2:8])
        await rating.settle()

    await deliver()
    before = {name: await rating.documents(name) for name in ("usage", "charges", "suspense")}
    answers = {(fact.id, fact.numerator) for fact in await rating.facts(UsageRated)}
    await deliver()
    assert {name: await rating.documents(name) for name in ("usage", "charges", "suspense")} == before
    assert {(fact.id, fact.numerator) for fact in await rating.facts(UsageRated)} == answers
    assert len(before["usage"]) == 502
    assert len(before["suspense"]) == 3 + 6
