"""Suspense: retried once mended, by id or reason; discarded with a note; told either way."""

from libs.contracts import RejectionReason, SuspenseDiscardRequested, SuspenseResolved, SuspenseRetryRequested, UsageRated, UsageRejected
from services.rating.suspense import RETRIED_AT_A_TIME
from tests.rating_world import RatingWorld, account, call, number, product

ADA = "+12125550001"


async def forget_what_they_wait_for(rating: RatingWorld) -> None:
    """Entries of an earlier release do not name it: only an operator retries them."""
    await rating.service.database["suspense"].update_many({}, {"$unset": {"waits_for": ""}})


async def test_a_retry_rates_what_can_now_be_rated_and_only_once(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), call("u-1", ADA), call("u-2", ADA), call("u-3", "+19"), call("u-4", ADA, unit="byte"))
    await rating.settle()
    await forget_what_they_wait_for(rating)
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    request = SuspenseRetryRequested(id="retry-1", reason=RejectionReason.UNKNOWN_PRODUCT)
    await rating.publish(request)
    await rating.settle()
    await rating.publish(request, SuspenseRetryRequested(id="retry-2"))
    await rating.settle()

    (charge,) = await rating.charges()
    assert charge.usage_count == 2
    resolved = {(fact.id, fact.rated_count, fact.suspended_count) for fact in await rating.facts(SuspenseResolved)}
    assert {("retry-1", 2, 2), ("retry-2", 0, 2)} <= resolved
    entries = {entry["usage_id"]: (entry["state"], entry["reason"]) for entry in await rating.documents("suspense")}
    assert entries == {
        "u-1": ("rated", "unknown-product"),
        "u-2": ("rated", "unknown-product"),
        "u-3": ("open", "unknown-product"),
        "u-4": ("open", "wrong-unit"),
    }
    assert {usage["_id"]: usage.get("charge_id") for usage in await rating.documents("usage")} == {
        "u-1": charge.id,
        "u-2": charge.id,
        "u-3": None,
        "u-4": None,
    }


async def test_a_usage_rated_by_a_retry_is_answered_so_when_it_comes_again(rating: RatingWorld) -> None:
    await rating.publish(account("ada"), call("u-1", ADA))
    await rating.settle()
    await forget_what_they_wait_for(rating)
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    (rejected,) = await rating.facts(UsageRejected)
    await rating.publish(SuspenseRetryRequested(id="retry", suspense_id=rejected.suspense_id))
    await rating.settle()
    await rating.publish(call("u-1", ADA))
    await rating.settle()

    first, second = await rating.facts(UsageRated)
    assert first == second
    (charge,) = await rating.charges()
    assert charge.usage_count == 1


async def test_a_long_retry_is_done_in_steps_and_told_as_one(rating: RatingWorld) -> None:
    count = 2 * RETRIED_AT_A_TIME + 1
    await rating.publish(account("ada"), *(call(f"u-{i}", ADA) for i in range(count)))
    await rating.settle()
    await forget_what_they_wait_for(rating)
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()
    await rating.publish(SuspenseRetryRequested(id="retry"))
    await rating.settle()

    (resolved,) = await rating.facts(SuspenseResolved)
    assert (resolved.rated_count, resolved.suspended_count) == (count, 0)
    (charge,) = await rating.charges()
    assert charge.usage_count == count


async def test_a_discarded_usage_keeps_its_note_and_waits_no_longer(rating: RatingWorld) -> None:
    await rating.publish(call("u-1", ADA))
    await rating.publish_raw(b"{")
    await rating.settle()
    for rejected in await rating.facts(UsageRejected):
        await rating.publish(SuspenseDiscardRequested(id=f"no-{rejected.suspense_id}", suspense_id=rejected.suspense_id, note="test call"))
    await rating.publish(SuspenseDiscardRequested(id="absent", suspense_id="absent", note=""))
    await rating.settle()
    await rating.publish(SuspenseRetryRequested(id="retry"), call("u-1", ADA))
    await rating.publish_raw(b"{")
    await rating.settle()

    assert [(entry["state"], entry["note"]) for entry in await rating.documents("suspense")] == [("discarded", "test call")] * 2
    told = {fact.id: fact for fact in await rating.facts(SuspenseResolved)}
    assert "nothing is in suspense" in (told["absent"].refusal or "")
    assert (told["retry"].rated_count, told["retry"].suspended_count) == (0, 0)
