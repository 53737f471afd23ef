"""What a topic can bring besides good usage: everything twice, and poison among the rest."""

import json
from collections import Counter

from libs.contracts import RejectionReason, UsageReceived
from tests.faults.clean import assert_audit_is_clean
from tests.faults.live_stack import LiveStack, identifiers

CUSTOMERS = 10
CALLS = 200


async def test_the_whole_topic_delivered_twice_changes_nothing(live: LiveStack) -> None:
    customers = await live.customers(CUSTOMERS, "twice")
    charges = live.collection("rating", "charges")
    of_these = {"account_id": {"$in": identifiers(customers)}}
    calls = [call for customer in customers for call in customer.calls(CALLS)]
    await live.publish(*calls)
    await live.settle()
    once = [charge async for charge in charges.find(of_these).sort("_id", 1)]
    await live.publish(*calls)
    await live.settle()
    assert [charge async for charge in charges.find(of_these).sort("_id", 1)] == once
    run = await live.run_cycle("twice")
    assert run["counts"]["billed"] == CUSTOMERS
    await live.publish(*calls)
    await live.settle()
    assert await charges.count_documents({**of_these, "state": "billed"}) == await charges.count_documents(of_these) == len(once)
    assert await live.collection("invoicing", "bills").count_documents(of_these) == CUSTOMERS
    await assert_audit_is_clean(live.settings)


def poison(good: bytes) -> list[tuple[bytes, RejectionReason]]:
    """Everything that mediation should never send, made from one good usage, with the reason that it is suspended for."""
    usage = json.loads(good)
    numbers = iter(range(1000))

    def changed(**fields: object) -> bytes:
        return json.dumps({**usage, "id": f"poison-{next(numbers)}", **fields}).encode()

    def raw_quantity(number: str) -> bytes:
        return changed(quantity="?").replace(b'"?"', number.encode())

    without_quantity = json.dumps({key: value for key, value in usage.items() if key != "quantity"}).encode()
    malformed = [
        b"{broken json",
        b"",
        b"5",
        b"null",
        b"[]",
        b"\xff\xfe\x00",
        without_quantity,
        changed(quantity="a lot"),
        changed(quantity=["17"]),
        raw_quantity("NaN"),
        raw_quantity("Infinity"),
        changed(quantity="NaN"),
        changed(started_at="yesterday"),
        changed(identifier="x" * 1_000_000),
        changed(called_number="1" * 1_000_000),
        changed(identifier="+1\x00212"),
        changed(characteristics={"a\x00b": "c"}),
    ]
    return [
        *((body, RejectionReason.MALFORMED) for body in malformed),
        (changed(quantity=-1), RejectionReason.NEGATIVE_QUANTITY),
        (changed(quantity="1e30"), RejectionReason.ABSURD_QUANTITY),
        (raw_quantity("1e30"), RejectionReason.ABSURD_QUANTITY),
        (changed(unit="parsec"), RejectionReason.WRONG_UNIT),
        (changed(started_at="2999-01-01T00:00:00Z"), RejectionReason.IN_THE_FUTURE),
        (changed(identifier="+19999999999"), RejectionReason.UNKNOWN_PRODUCT),
    ]


async def test_one_percent_poison_is_suspended_with_its_reason_and_the_rest_is_billed(live: LiveStack) -> None:
    customers = await live.customers(CUSTOMERS, "poison")
    suspense = live.collection("rating", "suspense")
    waiting_before = await suspense.count_documents({})
    calls = [call for customer in customers for call in customer.calls(CALLS)]
    bad = poison(calls[0].to_message())
    share = len(calls) // len(bad)
    for number, (body, _) in enumerate(bad):
        good = calls[number * share : (number + 1) * share]
        await live.publish(*good[: share // 2])
        await live.publish_raw(UsageReceived, good[0].key.encode(), body)
        await live.publish(*good[share // 2 :])
    await live.publish(*calls[len(bad) * share :])
    await live.settle()
    of_these = {"account_id": {"$in": identifiers(customers)}}
    assert await live.collection("rating", "usage").count_documents(of_these) == len(calls)
    suspended = [entry async for entry in suspense.find().sort("$natural", 1).skip(waiting_before)]
    assert Counter(entry["reason"] for entry in suspended) == Counter(reason.value for _, reason in bad)
    assert all(entry["detail"] for entry in suspended)
    run = await live.run_cycle("poison")
    assert run["counts"]["billed"] == CUSTOMERS
    await live.settle()
    await assert_audit_is_clean(live.settings)
