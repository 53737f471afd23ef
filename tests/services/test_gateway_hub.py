"""Subscriptions to the hub, the events that bills raise, and what a crash between storing and publishing leaves."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from libs.contracts import (
    AccountChanged,
    BillState,
    BillStateChanged,
    HubEventRaised,
    OnDemandBillCompleted,
    OnDemandBillRequested,
    SubscriptionChanged,
)
from libs.runtime import Batch, to_document
from libs.runtime.lag import lag_reader
from libs.runtime.mongo import database
from services.tmf_gateway.domain.links import TMF637, TMF666, TMF678, Links
from services.tmf_gateway.handlers import raise_bill_events
from services.tmf_gateway.store import GatewayStore
from tests.gateway_client import GatewayClient, GatewayDoor, a_bill, open_gateway
from tests.world import GATEWAY, WAIT_S, build_service, read_told

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway alone."""
    async with open_gateway(infrastructure) as opened:
        yield opened


async def eventually(condition):
    """Wait, within bounds, until the condition holds."""
    deadline = time.monotonic() + WAIT_S
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("base", "resource"), [(TMF678, "CustomerBill"), (TMF666, "BillingAccount"), (TMF637, "Product")])
async def test_a_subscription_is_told_and_its_end_too(door, base, resource):
    body = {"callback": f"https://crm.example.com{base}", "query": f"eventType={resource}StateChangeEvent"}
    made = await door.http.post(f"{base}/hub", json=body)
    href = made.headers["Location"]
    again = await door.http.post(f"{base}/hub", json=body)
    other_query = await door.http.post(f"{base}/hub", json={"callback": body["callback"]})
    ended, unknown = await door.http.delete(href), await door.http.delete(href)
    anew = await door.http.post(f"{base}/hub", json=body)

    assert [answer.status_code for answer in (made, again, other_query, ended, unknown, anew)] == [201, 409, 201, 204, 404, 201]
    assert made.json() == {"id": made.json()["id"], **body}
    assert href.endswith(f"{base}/hub/{made.json()['id']}")
    assert ended.content == b""
    told = [fact for fact in await read_told(door.settings, SubscriptionChanged) if fact.id == made.json()["id"]]
    assert [(fact.api, fact.query, fact.removed) for fact in told] == [
        (told[0].api, body["query"], False),
        (told[0].api, body["query"], True),
    ]


async def test_a_subscription_belongs_to_its_api(door):
    made = await door.http.post(f"{TMF666}/hub", json={"callback": "https://crm.example.com/other"})

    assert (await door.http.delete(f"{TMF678}/hub/{made.json()['id']}")).status_code == 404


async def test_the_subscriptions_of_an_api_are_listed(door):
    bodies = [{"callback": f"https://crm.example.com/listed/{number}"} for number in range(3)]
    made = [(await door.http.post(f"{TMF637}/hub", json=body)).json() for body in bodies]
    other = (await door.http.post(f"{TMF666}/hub", json=bodies[0])).json()
    await door.http.delete(f"{TMF637}/hub/{made[2]['id']}")
    listed = (await door.http.get(f"{TMF637}/hub")).json()

    assert [one for one in listed if one in (*made, other)] == [made[1], made[0]]
    assert (await door.http.get(f"{TMF637}/hub/{made[0]['id']}")).json() == made[0]
    assert (await door.http.get(f"{TMF637}/hub?callback={bodies[1]['callback']}")).json() == [made[1]]
    for gone in (f"{TMF637}/hub/{made[2]['id']}", f"{TMF637}/hub/{other['id']}"):
        assert (await door.http.get(gone)).status_code == 404


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]:80", "localhost", "10.0.0.1", "169.254.169.254"])
async def test_a_callback_that_the_settings_refuse_is_400(door, host):
    answer = await door.http.post(f"{TMF678}/hub", json={"callback": f"http://{host}/x"})

    assert answer.status_code == 400
    assert "HUB_ALLOWED_NETWORKS" in answer.json()["message"]


async def test_a_callback_that_the_settings_allow_is_taken(settings):
    service = build_service("tmf_gateway", settings, hub_allowed_networks="127.0.0.0/8")
    async with service.running(), GatewayClient(transport=httpx.ASGITransport(app=service.http), base_url=GATEWAY) as client:
        assert (await client.post(f"{TMF678}/hub", json={"callback": "http://127.0.0.1:9/x"})).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"callback": "crm"},
        {"callback": "ftp://x/y"},
        {"callback": "https://user:word@crm.example.com"},
        {"callback": "https://x", "query": "eventType=A;b=c&d=e"},
        {"callback": "https://x", "query": "eventType=ProductCreateEvent"},
    ],
)
async def test_a_subscription_that_cannot_be_served_is_400(door, body):
    assert (await door.http.post(f"{TMF678}/hub", json=body)).status_code == 400


async def events_of(door, bill_id):
    return [event for event in await read_told(door.settings, HubEventRaised) if event.resource_id == bill_id]


def held(bill):
    after = bill.model_copy(update={"state": BillState.ON_HOLD, "last_update_at": bill.bill_date + timedelta(minutes=1)})
    return BillStateChanged(id=f"{bill.id}-held", request_id="r1", account_id=bill.account_id, from_state=bill.state, bill=after)


async def test_a_bill_and_its_change_become_events_with_the_whole_envelope(door):
    bill = a_bill(1)
    await door.service.publish([bill])
    await door.world.settle()
    await door.service.publish([held(bill)])
    await door.world.settle()

    created, changed = await events_of(door, bill.id)
    assert (created.event_type, changed.event_type) == ("CustomerBillCreateEvent", "CustomerBillStateChangeEvent")
    assert created.envelope["event"]["customerBill"]["state"] == "new"
    assert changed.envelope["event"]["customerBill"]["state"] == "onHold"
    assert changed.envelope["eventId"] == changed.id
    assert changed.api == "TMF678"


async def test_a_change_that_overtakes_its_bill_is_still_told_after_it(door):
    bill = a_bill(2)
    await door.service.publish([held(bill)])
    await door.world.settle()
    await door.service.publish([bill])
    await door.world.settle()

    created, changed, repeated = await events_of(door, bill.id)
    assert (created.event_type, changed.event_type) == ("CustomerBillCreateEvent", "CustomerBillStateChangeEvent")
    assert repeated.id == created.id


async def test_a_bill_whose_creation_a_crash_kept_back_is_not_first_heard_of_by_its_change(settings):
    bill = a_bill(3)
    service = build_service("tmf_gateway", settings)
    async with service.running(), lag_reader(settings) as lag:
        # As a crash leaves it: the handler has stored what it stores, and what it returned was not published.
        store = GatewayStore(service.client, service.database)
        await raise_bill_events(Batch([bill], [], bill.bill_date), store=store, links=Links(GATEWAY))
        await service.publish([held(bill)])
        await lag.settled(WAIT_S)
        await service.publish([bill])
        await lag.settled(WAIT_S)
        events = await read_told(settings, HubEventRaised)

    assert [event.event_type for event in events][:2] == ["CustomerBillCreateEvent", "CustomerBillStateChangeEvent"]


async def test_a_bill_is_announced_once_when_all_is_well(door):
    bill = a_bill(4)
    await door.service.publish([bill])
    await door.world.settle()
    later = held(bill).model_copy(update={"id": f"{bill.id}-again"})
    await door.service.publish([held(bill), later])
    await door.world.settle()

    kinds = [event.event_type for event in await events_of(door, bill.id)]
    assert kinds == ["CustomerBillCreateEvent", "CustomerBillStateChangeEvent", "CustomerBillStateChangeEvent"]


async def test_the_end_of_a_request_is_never_told_before_its_beginning(settings):
    service = build_service("tmf_gateway", settings)
    now = datetime.now(UTC)
    wanted = {
        "_id": "r1",
        "account_id": "a1",
        "state": "inProgress",
        "requested_at": now,
        "last_update_at": now,
        "changed_at": now,
        "revision": 1,
    }
    created = HubEventRaised(
        id="e1", api="TMF678", event_type="CustomerBillOnDemandCreateEvent", resource_id="r1", raised_at=now, envelope={"eventId": "e1"}
    )
    waiting = [{"revision": 1, "topic": created.topic, "message": created.to_message()}]
    await service.database["on_demand_requests"].insert_one({**wanted, "outbox": waiting})
    async with service.running():
        await service.publish(
            [OnDemandBillCompleted(id="r1", account_id="a1", state="rejected", reason="nothing to bill", completed_at=now)]
        )

        async def told() -> bool:
            return any("StateChange" in event.event_type for event in await read_told(settings, HubEventRaised))

        await eventually(told)
        events = await read_told(settings, HubEventRaised)
        # The outbox may publish the first one again meanwhile.
        told_in_order = list(dict.fromkeys(event.event_type for event in events))
        assert told_in_order == ["CustomerBillOnDemandCreateEvent", "CustomerBillOnDemandStateChangeEvent"]


async def test_what_a_crash_left_unpublished_is_published_after_the_start(settings):
    before = build_service("tmf_gateway", settings)
    async with before.running():
        pass
    # As a crash between storing and publishing leaves it.
    fact = AccountChanged(
        id="a1",
        revision=1,
        name="Ada",
        state="active",
        currency="EUR",
        time_zone="UTC",
        cycle="monthly",
        tax_category="standard",
        changed_at=LONG_AGO,
    )
    service = build_service("tmf_gateway", settings)
    await service.database["billing_accounts"].insert_one(
        {"_id": "a1", "revision": 1, "changed_at": LONG_AGO, "outbox": [{"revision": 1, "topic": fact.topic, "message": fact.to_message()}]}
    )
    async with service.running():

        async def published() -> bool:
            return await read_told(settings, AccountChanged) == [fact]

        async def tidied() -> bool:
            return (await service.database["billing_accounts"].find_one({"_id": "a1"}))["outbox"] == []

        await eventually(published)
        await eventually(tidied)


async def test_while_kafka_is_away_accounts_are_opened_and_told_later(settings):
    door = build_service("tmf_gateway", settings)
    await database(door.client, settings, "invoicing")["bills"].insert_one(to_document(a_bill(1)))
    # Built and not started: as it is while Kafka does not answer.
    async with GatewayClient(transport=httpx.ASGITransport(app=door.http), base_url=GATEWAY) as client:
        account = await client.open_account()
        refused = await client.patch(f"{TMF678}/customerBill/{a_bill(1).id}", json={"state": "onHold"})
    await door.database["billing_accounts"].update_one({}, {"$set": {"changed_at": LONG_AGO}})
    await door.client.close()

    assert refused.status_code == 503
    assert await read_told(settings, AccountChanged) == []
    async with build_service("tmf_gateway", settings).running():

        async def told() -> bool:
            return [fact.id for fact in await read_told(settings, AccountChanged)] == [account["id"]]

        await eventually(told)


async def test_what_could_not_be_told_goes_before_what_is_told_next(settings):
    door = build_service("tmf_gateway", settings)
    async with GatewayClient(transport=httpx.ASGITransport(app=door.http), base_url=GATEWAY) as client:
        account = await client.open_account()
        async with door.running():
            await client.patch(account["href"], json={"name": "Ada Lovelace"})
            events = await read_told(settings, HubEventRaised)

    assert [event.event_type for event in events] == ["BillingAccountCreateEvent", "BillingAccountAttributeValueChangeEvent"]


async def test_a_request_that_nobody_answered_is_asked_again(settings):
    service = build_service("tmf_gateway", settings)
    await service.database["on_demand_requests"].insert_one(
        {
            "_id": "r1",
            "account_id": "a1",
            "state": "inProgress",
            "requested_at": LONG_AGO,
            "last_update_at": LONG_AGO,
            "changed_at": LONG_AGO,
            "published_at": LONG_AGO,
            "revision": 1,
            "outbox": [],
        }
    )
    async with service.running():

        async def asked() -> bool:
            return [fact.id for fact in await read_told(settings, OnDemandBillRequested)] == ["r1"]

        await eventually(asked)
