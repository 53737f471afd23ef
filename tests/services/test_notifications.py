"""Notifications on real Kafka and MongoDB, with real HTTP subscribers."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.contracts import DeliveryRetryRequested, HubEventRaised, SubscriptionChanged
from libs.exact_json import read_json
from libs.hub_signature import subscription_key
from libs.runtime import RuntimeSettings, Service
from services.notifications.service import NotificationsSettings, build
from tests.command_line import run_tarifa
from tests.services.hub_subscriber import WAIT_S, Answer, Received, Subscriber, listening

SECRET = "a secret of the test"


@asynccontextmanager
async def notifications(settings: RuntimeSettings, **overrides: Any) -> AsyncIterator[Service]:
    fast = {"hub_pause_first_s": 0.05, "hub_pause_max_s": 0.1, "hub_signing_secret": SECRET, "hub_allowed_networks": "127.0.0.0/8"}
    async with build(NotificationsSettings(**{**settings.model_dump(), **fast, **overrides})).running() as service:
        yield service


@pytest.fixture
async def service(settings: RuntimeSettings) -> AsyncIterator[Service]:
    async with notifications(settings) as running:
        yield running


@pytest.fixture
async def crm() -> AsyncIterator[Subscriber]:
    async with listening() as subscriber:
        yield subscriber


@pytest.fixture
async def selfcare() -> AsyncIterator[Subscriber]:
    async with listening() as subscriber:
        yield subscriber


def subscription(name: str, subscriber: Subscriber, query: str = "", **changes: Any) -> SubscriptionChanged:
    made = {"id": name, "api": "TMF678", "callback": subscriber.url, "query": query, "changed_at": datetime.now(UTC)}
    return SubscriptionChanged(**{**made, **changes})


def event(event_id: str, bill: str = "bill-1", event_type: str = "CustomerBillStateChangeEvent", **attributes: Any) -> HubEventRaised:
    raised_at = datetime.now(UTC)
    envelope = {
        "eventId": event_id,
        "eventTime": raised_at.isoformat(),
        "eventType": event_type,
        "event": {"customerBill": {"id": bill, "amountDue": {"unit": "EUR", "value": Decimal("12.30")}, **attributes}},
    }
    return HubEventRaised(id=event_id, api="TMF678", event_type=event_type, resource_id=bill, raised_at=raised_at, envelope=envelope)


async def eventually(probe: Callable[[], Awaitable[Any]]) -> Any:
    deadline = time.monotonic() + WAIT_S
    while not (found := await probe()):
        assert time.monotonic() < deadline, "it never came to pass"
        await asyncio.sleep(0.02)
    return found


async def delivery(service: Service, delivery_id: str, state: str) -> dict[str, Any]:
    return await eventually(lambda: service.database["deliveries"].find_one({"_id": delivery_id, "state": state}))


async def subscribed(service: Service, *subscriptions: SubscriptionChanged) -> None:
    await service.publish(subscriptions)
    for made in subscriptions:
        await eventually(lambda made=made: service.database["subscriptions"].find_one({"_id": made.id, "removed": made.removed}))


async def test_an_event_arrives_as_its_envelope_signed(service, crm):
    await subscribed(service, subscription("s", crm))
    raised = event("e1", event_type="CustomerBillCreateEvent")
    await service.publish([raised])

    (received,) = await crm.gets(1)

    assert received.path == "/listener/customerBillCreateEvent"
    assert read_json(received.body) == raised.envelope
    assert b'"value":12.30}' in received.body
    assert received.headers["content-type"] == "application/json;charset=utf-8"
    signed = dict(part.split("=", 1) for part in received.headers["x-tarifa-signature"].split(","))
    expected = hmac.new(subscription_key(SECRET, "s").encode(), f"{signed['t']}.".encode() + received.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(signed["v1"], expected)
    assert abs(int(signed["t"]) - time.time()) < 60


async def test_the_log_tells_every_attempt(service, crm):
    crm.answer = lambda _: Answer(500 if len(crm.received) < 3 else 200)
    await subscribed(service, subscription("s", crm))
    await service.publish([event("e1")])

    delivered = await delivery(service, "s|e1", "delivered")

    assert [attempt["status"] for attempt in delivered["attempts"]] == [500, 500, 200]
    assert delivered["ended_at"] >= delivered["attempts"][0]["at"]


async def test_events_of_a_resource_arrive_in_order_though_one_fails_at_first(service, crm):
    failed = set()

    def answer(received: Received) -> Answer:
        if received.event_id in ("a2", "a5") and received.event_id not in failed:
            failed.add(received.event_id)
            return Answer(503)
        return Answer()

    crm.answer = answer
    await subscribed(service, subscription("s", crm))
    await service.publish([event(f"{bill}{number}", bill) for number in range(1, 8) for bill in "abc"])

    await crm.gets(23)

    arrived = {bill: [event_id for event_id in crm.event_ids() if event_id[0] == bill] for bill in "abc"}
    assert arrived["a"] == ["a1", "a2", "a2", "a3", "a4", "a5", "a5", "a6", "a7"]
    assert arrived["b"] == [f"b{number}" for number in range(1, 8)]
    assert arrived["c"] == [f"c{number}" for number in range(1, 8)]


async def test_a_timed_out_attempt_is_tried_again(settings, crm):
    gate = asyncio.Event()
    crm.answer = lambda _: Answer(gate=None if len(crm.received) > 1 else gate)
    async with notifications(settings, hub_attempt_timeout_s=0.5) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1")])

        delivered = await delivery(service, "s|e1", "delivered")
        gate.set()

    assert [attempt["error"] for attempt in delivered["attempts"]] == ["no answer within 0.5 s", None]


async def test_a_redirect_is_not_followed(settings, crm, selfcare):
    crm.answer = lambda _: Answer(307, {"location": f"{selfcare.url}/elsewhere"})
    async with notifications(settings, hub_tries_max=2) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1")])

        parked = await delivery(service, "s|e1", "parked")

    assert [attempt["status"] for attempt in parked["attempts"]] == [307, 307]
    assert selfcare.received == []


async def test_after_the_last_try_a_delivery_is_parked_and_later_ones_of_its_resource_go_on(settings, crm):
    crm.answer = lambda received: Answer(500 if received.event_id == "e1" else 200)
    async with notifications(settings, hub_tries_max=3) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1"), event("e2")])

        parked = await delivery(service, "s|e1", "parked")
        await delivery(service, "s|e2", "delivered")

    assert parked["reason"] == "gave up after 3 tries; the last: HTTP 500"
    assert crm.event_ids() == ["e1", "e1", "e1", "e2"]


async def test_a_parked_delivery_is_retried_on_request(settings, crm):
    crm.answer = lambda _: Answer(500)
    async with notifications(settings, hub_tries_max=2) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1")])
        await delivery(service, "s|e1", "parked")

        crm.answer = lambda _: Answer(200)
        await service.publish([DeliveryRetryRequested(id="r1", delivery_id="s|e1", requested_at=datetime.now(UTC))])

        delivered = await delivery(service, "s|e1", "delivered")

    assert [attempt["status"] for attempt in delivered["attempts"]] == [500, 500, 200]


async def test_a_subscriber_that_hangs_delays_nobody_else(service, crm, selfcare):
    gate = asyncio.Event()
    crm.answer = lambda _: Answer(gate=gate)
    await subscribed(service, subscription("hanging", crm), subscription("lively", selfcare))
    await service.publish([event(f"e{number}", f"bill-{number}") for number in range(30)])

    await crm.gets(1)
    await selfcare.gets(30)
    assert await service.database["deliveries"].count_documents({"subscription_id": "hanging", "state": "delivered"}) == 0
    gate.set()
    await crm.gets(30)


async def test_a_subscriber_that_is_gone_delays_nobody_else(service, crm, selfcare):
    async with listening() as leaving:
        await subscribed(service, subscription("gone", leaving), subscription("lively", crm))
    await service.publish([event(f"e{number}", f"bill-{number}") for number in range(30)])

    await crm.gets(30)

    missed = await service.database["deliveries"].find_one({"subscription_id": "gone", "attempts.0": {"$exists": True}})
    assert missed["state"] == "pending"
    assert "ConnectError" in missed["attempts"][0]["error"]


async def test_a_query_chooses_events_and_attributes(service, crm):
    query = "eventType=CustomerBillStateChangeEvent&event.customerBill.state=settled&fields=event.customerBill.state"
    await subscribed(service, subscription("s", crm, query))
    await service.publish(
        [
            event("created", event_type="CustomerBillCreateEvent", state="settled"),
            event("held", state="onHold"),
            event("settled", state="settled"),
        ]
    )

    (received,) = await crm.gets(1)

    assert received.event_id == "settled"
    assert json.loads(received.body)["event"] == {"customerBill": {"id": "bill-1", "state": "settled"}}
    assert await service.database["deliveries"].count_documents({}) == 1


async def test_an_event_of_another_api_is_not_for_this_hub(service, crm):
    await subscribed(service, subscription("accounts", crm, api="TMF666"), subscription("bills", crm))
    await service.publish([event("e1")])

    await crm.gets(1)

    assert await service.database["deliveries"].count_documents({"subscription_id": "accounts"}) == 0


async def test_a_removed_subscription_gets_nothing_more_and_what_it_was_owed_is_cancelled(service, crm, selfcare):
    crm.answer = lambda _: Answer(500)
    leaving = subscription("leaving", crm)
    await subscribed(service, leaving, subscription("staying", selfcare))
    await service.publish([event("e1")])
    await crm.gets(1)

    await subscribed(service, leaving.model_copy(update={"removed": True}))
    await service.publish([event("e2")])
    await selfcare.gets(2)
    await delivery(service, "leaving|e1", "cancelled")

    assert "e2" not in crm.event_ids()
    assert await service.database["deliveries"].count_documents({"subscription_id": "leaving"}) == 1


async def test_a_subscription_read_after_an_event_still_gets_it(service, crm):
    made = subscription("late", crm)
    await service.publish([event("e1")])
    await eventually(lambda: service.database["events"].find_one({"_id": "e1"}))
    await service.publish([made])

    await crm.gets(1)


async def test_a_subscription_read_amid_many_events_gets_them_in_order(service, crm):
    made = subscription("late", crm)
    events = [event(f"e{number:03}", f"bill-{number % 5}") for number in range(300)]
    await service.publish([*events[:150], made])
    await service.publish(events[150:])

    await crm.gets(300)

    for bill in range(5):
        arrived = [event_id for event_id in crm.event_ids() if int(event_id[1:]) % 5 == bill]
        assert arrived == sorted(arrived), f"bill-{bill}"


async def test_a_subscription_does_not_get_what_came_before_it_was_made(service, crm):
    await service.publish([event("before")])
    await eventually(lambda: service.database["events"].find_one({"_id": "before"}))
    await subscribed(service, subscription("s", crm))
    await service.publish([event("after")])

    await crm.gets(1)

    assert crm.event_ids() == ["after"]


async def test_facts_that_come_twice_are_delivered_once(service, crm):
    made = subscription("s", crm)
    await subscribed(service, made)
    await service.publish([event("e1"), event("e2")])
    await delivery(service, "s|e2", "delivered")

    await service.publish([made, event("e1"), event("e2"), event("e3")])
    await delivery(service, "s|e3", "delivered")

    assert crm.event_ids() == ["e1", "e2", "e3"]


async def test_what_was_not_delivered_before_a_stop_is_delivered_after_the_start(settings, crm):
    crm.answer = lambda _: Answer(500)
    async with notifications(settings) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1"), event("e2"), event("e3", "bill-2")])
        await delivery(service, "s|e1", "pending")
        await crm.gets(2)

    crm.answer = lambda _: Answer()
    crm.received.clear()
    async with notifications(settings) as service:
        await crm.gets(3)

    assert [event_id for event_id in crm.event_ids() if event_id != "e3"] == ["e1", "e2"]


async def test_a_process_that_died_while_posting_is_replaced_when_its_lease_runs_out(settings, crm):
    async with notifications(settings, hub_attempt_timeout_s=0.5) as service:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        await service.database["leases"].insert_one({"_id": "s", "holder": "a process that died", "until": soon})
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1")])

        await crm.gets(1)

    assert datetime.now(UTC) >= soon


async def test_two_instances_never_post_a_delivery_twice(settings, crm):
    async with notifications(settings) as one, notifications(settings):
        await subscribed(one, subscription("s", crm))
        await one.publish([event(f"e{number}", f"bill-{number % 10}") for number in range(100)])
        await eventually(lambda: _all_delivered(one, 100))

    assert sorted(crm.event_ids()) == sorted(f"e{number}" for number in range(100))


async def _all_delivered(service: Service, count: int) -> bool:
    return await service.database["deliveries"].count_documents({"state": "delivered"}) == count


async def test_loopback_is_refused_by_default(settings, crm):
    async with notifications(settings, hub_allowed_networks=()) as service:
        port = crm.url.rsplit(":", 1)[1]
        await subscribed(
            service,
            subscription("address", crm),
            subscription("name", crm, callback=f"http://localhost:{port}"),
            subscription("disguised", crm, callback=f"http://2130706433:{port}"),
            subscription("mapped", crm, callback=f"http://[::ffff:127.0.0.1]:{port}"),
            subscription("file", crm, callback="file:///etc/passwd"),
        )
        await service.publish([event("e1")])

        parked = [await delivery(service, f"{name}|e1", "parked") for name in ("address", "name", "disguised", "mapped", "file")]

    assert crm.received == []
    assert all("loopback" in refused["reason"] for refused in parked[:4])
    assert parked[4]["reason"] == "the callback is not an http or https URL"


async def test_a_callback_can_be_called_verbatim(settings, crm):
    async with notifications(settings, hub_callback_verbatim=True) as service:
        await subscribed(service, subscription("s", crm, callback=f"{crm.url}/in?tenant=7"))
        await service.publish([event("e1")])

        (received,) = await crm.gets(1)

    assert received.path == "/in?tenant=7"


async def test_a_subscription_with_an_invalid_query_is_parked_and_the_others_are_kept(service, crm):
    await service.publish([subscription("bad", crm, "eventType=A&eventType=B")])
    await subscribed(service, subscription("good", crm))

    parked = await eventually(lambda: service.database["parked"].find_one({"handler": "follow_subscriptions"}))

    assert "eventType is given twice" in parked["reason"]


async def test_an_operative_lists_the_deliveries_and_sends_a_parked_one_again(settings, crm):
    crm.answer = lambda _: Answer(500)
    async with notifications(settings, hub_tries_max=1) as service:
        await subscribed(service, subscription("s", crm))
        await service.publish([event("e1"), event("e2", "bill-2")])
        await delivery(service, "s|e1", "parked")
        await delivery(service, "s|e2", "parked")
        crm.answer = lambda _: Answer(200)

        listed = await run_tarifa(settings, "hub", "deliveries", "--json", "--state", "parked", "--subscription", "s")
        retried = await run_tarifa(settings, "hub", "retry", "s|e1")
        await delivery(service, "s|e1", "delivered")
        refused = await run_tarifa(settings, "hub", "retry", "s|e1")

    shown = {entry["id"]: entry for entry in listed.json}
    assert set(shown) == {"s|e1", "s|e2"}
    assert shown["s|e1"]["attempts"][0]["status"] == 500
    assert '"value":12.30' in listed.out
    assert retried.exit_code == 0, retried.err
    assert refused.exit_code == 1
    assert "delivery s|e1 is delivered" in refused.err


async def test_the_operator_is_told_the_key_of_a_subscription_that_there_is(settings, crm, monkeypatch):
    async with notifications(settings) as service:
        await subscribed(service, subscription("s", crm))
    without_secret = await run_tarifa(settings, "hub", "key", "s")
    monkeypatch.setenv("HUB_SIGNING_SECRET", SECRET)
    told, unknown = await run_tarifa(settings, "hub", "key", "s"), await run_tarifa(settings, "hub", "key", "t")

    assert (told.exit_code, told.out.strip()) == (0, subscription_key(SECRET, "s"))
    assert (unknown.exit_code, unknown.out) == (1, "")
    assert "HUB_SIGNING_SECRET is not set" in without_secret.err
