"""Changing bills, asking for them and reading them as PDF: the gateway with the services that answer it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from libs.contracts import (
    BillState,
    HubEventRaised,
    OnDemandBillCompleted,
    OnDemandBillRequested,
    OnDemandState,
)
from services.tmf_gateway.domain.links import TMF678
from tests.gateway_client import MARCH, GatewayDoor, a_bill, open_gateway
from tests.world import read_told

BILLS = f"{TMF678}/customerBill"
ON_DEMAND = f"{TMF678}/customerBillOnDemand"


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """The gateway with invoicing, which owns bills."""
    async with open_gateway(infrastructure, "invoicing") as opened:
        yield opened


async def test_a_bill_goes_on_hold_and_stays_there_when_asked_again(door):
    await door.seed_bills(a_bill(1))
    url = f"{BILLS}/acc-1.2026-03.1"
    held = await door.http.patch(url, json={"state": "onHold"})
    again = await door.http.patch(url, json={"state": "onHold"}, headers={"Content-Type": "application/merge-patch+json"})

    assert (held.status_code, held.json()["state"]) == (200, "onHold")
    assert (again.status_code, again.json()) == (200, held.json())
    assert (await door.http.get(url)).json() == held.json()
    assert held.json()["lastUpdate"] > held.json()["billDate"]


async def test_an_illegal_change_is_409_and_changes_nothing(door):
    await door.seed_bills(a_bill(2, state=BillState.SETTLED), a_bill(3))

    assert (await door.http.patch(f"{BILLS}/acc-1.2026-03.2", json={"state": "new"})).status_code == 409
    assert (await door.http.patch(f"{BILLS}/acc-1.2026-03.3", json={"state": "settled"})).status_code == 409
    assert (await door.http.get(f"{BILLS}/acc-1.2026-03.2")).json()["state"] == "settled"


async def test_a_change_of_anything_but_a_known_state_is_400(door):
    await door.seed_bills(a_bill(10))
    for body in ({"state": "noSuchState"}, {"billNo": "7"}, {"state": "onHold", "amountDue": {"value": 1}}, {"state": None}):
        assert (await door.http.patch(f"{BILLS}/acc-1.2026-03.10", json=body)).status_code == 400, body


async def test_a_change_of_an_unknown_bill_is_404(door):
    assert (await door.http.patch(f"{BILLS}/404ID", json={"state": "onHold"})).status_code == 404


async def test_a_document_is_rendered_when_it_is_first_read(door):
    bill = a_bill(4)
    await door.seed_bills(bill)
    (document,) = (await door.http.get(f"{BILLS}/{bill.id}")).json()["billDocument"]
    first, again = await door.http.get(document["url"]), await door.http.get(document["url"])
    head = await door.http.head(document["url"])

    assert first.status_code == 200
    assert first.headers["content-type"] == "application/pdf"
    assert first.content.startswith(b"%PDF")
    assert int(head.headers["content-length"]) == len(first.content)
    assert again.content == first.content
    assert (await door.http.get(f"{BILLS}/{bill.id}/billDocument/404ID")).status_code == 404


async def test_when_nobody_answers_the_client_is_told_to_ask_again(infrastructure, monkeypatch):
    monkeypatch.setenv("GATEWAY_ANSWER_WAIT_S", "0.3")
    monkeypatch.setenv("GATEWAY_DOCUMENT_WAIT_S", "0.5")
    async with open_gateway(infrastructure) as alone:
        await alone.seed_bills(a_bill(1))
        started = time.monotonic()
        answer, document = await asyncio.gather(
            alone.http.patch(f"{BILLS}/acc-1.2026-03.1", json={"state": "onHold"}),
            alone.http.get(f"{BILLS}/acc-1.2026-03.1/billDocument/acc-1.1.pdf"),
        )

        assert (answer.status_code, document.status_code) == (503, 503)
        assert answer.headers["Retry-After"]
        assert time.monotonic() - started < 20


async def test_a_request_for_a_bill_is_answered_at_once_and_told(door):
    account = await door.http.open_account()
    body = {"name": "now", "description": "please", "billingAccount": {"id": account["id"]}, "state": "done", "id": "mine"}
    answer = await door.http.post(ON_DEMAND, json=body)
    shown = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"] == shown["href"]
    assert (shown["state"], shown["name"], shown["billingAccount"]["id"]) == ("inProgress", "now", account["id"])
    assert shown["id"] != "mine"
    assert (await door.http.get(shown["href"])).json() == shown
    assert [fact.id for fact in await read_told(door.settings, OnDemandBillRequested)].count(shown["id"]) == 1


@pytest.mark.parametrize(
    "body", [{}, {"billingAccount": {}}, {"billingAccount": {"id": "404ID"}}, {"billingAccount": {"id": 7}}, {"billingAccount": "x"}]
)
async def test_a_request_without_a_known_account_is_400(door, body):
    assert (await door.http.post(ON_DEMAND, json=body)).status_code == 400


async def test_a_request_for_a_closed_account_is_400(door):
    closed = await door.http.open_account(state="closed")

    assert (await door.http.post(ON_DEMAND, json={"billingAccount": {"id": closed["id"]}})).status_code == 400


@pytest.mark.parametrize(
    ("state", "bill_id", "reason"),
    [
        (OnDemandState.DONE, "bill-7", None),
        (OnDemandState.REJECTED, None, "nothing to bill"),
        (OnDemandState.TERMINATED_WITH_ERROR, None, "no tax rate"),
    ],
)
async def test_a_request_ends_as_it_was_completed_and_only_once(door, state, bill_id, reason):
    account = await door.http.open_account()
    request = (await door.http.post(ON_DEMAND, json={"billingAccount": {"id": account["id"]}})).json()
    ended = OnDemandBillCompleted(
        id=request["id"], account_id=account["id"], state=state, bill_id=bill_id, reason=reason, completed_at=MARCH.end
    )
    other = ended.model_copy(update={"state": OnDemandState.REJECTED, "reason": "too late"})
    await door.service.publish([ended])
    await door.world.settle()
    await door.service.publish([ended, other])
    await door.world.settle()
    shown = (await door.http.get(request["href"])).json()

    assert shown["state"] == state
    assert shown.get("stateReason") == reason
    assert shown.get("customerBill", {}).get("id") == bill_id
    raised = await read_told(door.settings, HubEventRaised)
    events = [event for event in raised if event.resource_id == request["id"]]
    assert [event.event_type for event in events][:2] == ["CustomerBillOnDemandCreateEvent", "CustomerBillOnDemandStateChangeEvent"]
    assert len({event.id for event in events}) == 2
    assert events[1].envelope["event"]["customerBillOnDemand"]["state"] == state


async def test_a_request_that_was_rejected_and_has_its_bill_after_all_is_done(door):
    account = await door.http.open_account()
    request = (await door.http.post(ON_DEMAND, json={"billingAccount": {"id": account["id"]}})).json()
    rejected = OnDemandBillCompleted(
        id=request["id"], account_id=account["id"], state=OnDemandState.REJECTED, reason="unknown account", completed_at=MARCH.end
    )
    await door.service.publish([rejected])
    await door.world.settle()
    await door.service.publish([rejected.model_copy(update={"state": OnDemandState.DONE, "bill_id": "bill-8", "reason": None}), rejected])
    await door.world.settle()
    shown = (await door.http.get(request["href"])).json()

    assert (shown["state"], shown["customerBill"]["id"], "stateReason" in shown) == ("done", "bill-8", False)
    events = {event.id: event for event in await read_told(door.settings, HubEventRaised) if event.resource_id == request["id"]}
    states = [event.envelope["event"]["customerBillOnDemand"]["state"] for event in events.values()]
    assert states == ["inProgress", "rejected", "done"]
