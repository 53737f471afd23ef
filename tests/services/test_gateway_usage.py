"""A CRM sees a customer's usage: what it cost, whether it is billed, and what waits in suspense."""

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from libs.contracts import ChargeState, SuspenseRetryRequested
from services.tmf_gateway.domain.links import TMF635
from tests.gateway_client import GatewayDoor, exact, open_gateway
from tests.usages import usage_of

USAGE = f"{TMF635}/usage"
CALL = {"unit": "s", "called_number": "+12125559999", "usage_type": "voice"}


@pytest.fixture(scope="module")
async def door(infrastructure: dict[str, str]) -> AsyncIterator[GatewayDoor]:
    async with open_gateway(infrastructure, "rating") as opened:
        yield opened


@pytest.fixture(scope="module")
async def ada(door: GatewayDoor) -> dict[str, Any]:
    """Two calls and a message without a price; somebody else calls as well."""
    account = await customer(door, "+12125550001")
    await customer(door, "+12125550002")
    await door.world.publish(
        usage_of(id="call/1", identifier="+12125550001", started_at="2026-03-02T15:00:00Z", quantity=90, **CALL),
        usage_of(id="call-2", identifier="+12125550001", started_at="2026-03-03T15:00:00Z", quantity=60, **CALL),
        usage_of(id="sms-1", identifier="+12125550001", started_at="2026-03-04T15:00:00Z", quantity=1, unit="s", usage_type="sms"),
        usage_of(id="call-3", identifier="+12125550002", started_at="2026-03-03T15:00:00Z", quantity=60, **CALL),
        usage_of(id="sms-2", identifier="+12125550002", started_at="2026-03-04T15:00:00Z", quantity=1, unit="s", usage_type="sms"),
    )
    await door.world.settle()
    return account


async def customer(door: GatewayDoor, msisdn: str) -> dict[str, Any]:
    account = await door.http.open_account(currency="USD", timeZone="America/New_York")
    await door.http.open_product(account["id"], msisdn, startDate="2025-01-01T00:00:00Z")
    await door.world.settle()
    return account


async def ids(door: GatewayDoor, **query: str) -> list[str]:
    answer = await door.http.get(USAGE, params=query)
    assert answer.status_code in (200, 206), answer.text
    return [usage["id"] for usage in answer.json()]


async def test_the_usage_of_an_account_is_listed_newest_first(door: GatewayDoor, ada: dict[str, Any]) -> None:
    assert await ids(door, **{"billingAccount.id": ada["id"]}) == ["call-2", "call/1"]
    assert await ids(door, **{"billingAccount.id": ada["id"], "usageDate": "2026-03-02"}) == ["call/1"]
    assert await ids(door, **{"billingAccount.id": ada["id"], "limit": "1", "offset": "1"}) == ["call/1"]
    assert await ids(door) == ["call-2", "call-3", "call/1"]


async def test_a_usage_shows_what_it_was_and_what_it_cost(door: GatewayDoor, ada: dict[str, Any]) -> None:
    shown = exact(await door.http.get(f"{USAGE}/call%2F1"))
    assert (shown["id"], shown["status"], shown["usageType"], shown["billingAccount"]["id"]) == ("call/1", "rated", "voice", ada["id"])
    said = {characteristic["name"]: characteristic["value"] for characteristic in shown["usageCharacteristic"]}
    assert said == {"identifier": "+12125550001", "calledNumber": "+12125559999", "quantity": 90, "unit": "s"}
    (rated,) = shown["ratedProductUsage"]
    assert (rated["isBilled"], rated["usageRatingTag"]) == (False, "usage")
    assert rated["taxExcludedRatingAmount"] == {"unit": "USD", "value": Decimal("0.255000")}
    assert (await door.http.get(shown["href"])).json()["id"] == "call/1"


async def test_a_usage_is_billed_once_its_charge_is(door: GatewayDoor, ada: dict[str, Any]) -> None:
    usage = await door.rating["usage"].find_one({"_id": "call-2"})
    assert usage is not None
    await door.rating["charges"].update_one({"_id": usage["charge_id"]}, {"$set": {"state": ChargeState.BILLED.value}})
    shown = (await door.http.get(f"{USAGE}/call-2")).json()
    assert (shown["status"], shown["ratedProductUsage"][0]["isBilled"]) == ("billed", True)
    await door.rating["charges"].update_one({"_id": usage["charge_id"]}, {"$set": {"state": ChargeState.OPEN.value}})


async def test_what_waits_of_a_customer_is_listed_with_its_reason(door: GatewayDoor, ada: dict[str, Any]) -> None:
    (waiting,) = (await door.http.get(USAGE, params={"billingAccount.id": ada["id"], "status": "rejected"})).json()
    assert (waiting["id"], waiting["status"]) == ("sms-1", "rejected")
    assert waiting["statusReason"].startswith("no-price: ")
    assert (await door.http.get(waiting["href"])).json() == waiting
    assert {"sms-1", "sms-2"} <= set(await ids(door, status="rejected"))


async def test_the_next_holder_of_a_number_does_not_see_what_waits_of_the_one_before(door: GatewayDoor, ada: dict[str, Any]) -> None:
    bob = await door.http.open_account(currency="USD", timeZone="America/New_York")
    nobody = await door.http.open_account(currency="USD", timeZone="America/New_York")
    held = {"startDate": "2025-01-01T00:00:00Z", "terminationDate": "2026-03-04T16:00:00Z", "status": "terminated"}
    await door.http.open_product(bob["id"], "+12125550003", **held)
    eve = await door.http.open_account(currency="USD", timeZone="America/New_York")
    await door.http.open_product(eve["id"], "+12125550003", startDate="2026-03-04T16:00:00Z")
    await door.world.settle()
    await door.world.publish(
        usage_of(id="sms-b", identifier="+12125550003", started_at="2026-03-04T15:00:00Z", quantity=1, unit="s", usage_type="sms"),
        usage_of(id="sms-e", identifier="+12125550003", started_at="2026-03-04T17:00:00Z", quantity=1, unit="s", usage_type="sms"),
    )
    await door.world.settle()
    waiting = [await ids(door, **{"billingAccount.id": account["id"], "status": "rejected"}) for account in (bob, eve, nobody)]
    assert waiting == [["sms-b"], ["sms-e"], []]


async def test_what_waits_is_found_by_the_number_in_whatever_form_it_was_received(door: GatewayDoor, ada: dict[str, Any]) -> None:
    cyd = await customer(door, "+12125550004")
    forms = ("+12125550004", "+1 212 555-0004", "+1 (212) 555.0004", "tel:+12125550004", "+1/212\u00a0555\u20110004")
    usages = [
        usage_of(id=f"form-{number}", identifier=form, started_at=f"2026-03-05T15:0{number}:00Z", quantity=10**7, **CALL)
        for number, form in enumerate(forms)
    ]
    again = usage_of(id="form-1", identifier=forms[1], started_at="2026-03-05T15:09:00Z", quantity=1, **CALL)
    await door.world.publish(*usages)
    await door.world.settle()
    await door.world.publish(again)
    await door.world.settle()
    of_cyd = {"billingAccount.id": cyd["id"], "status": "rejected"}
    found = await ids(door, **of_cyd)
    # Two of one id: a usage whose id was taken is shown under that of its entry.
    assert set(found) >= {usage.id for usage in usages}
    assert len(found) == len(usages) + 1
    # An entry from before numbers were stored is found once it is retried.
    entry = await door.rating["suspense"].find_one_and_update({"usage_id": "form-3"}, {"$unset": {"number": ""}})
    assert entry is not None
    assert "form-3" not in await ids(door, **of_cyd)
    await door.world.publish(SuspenseRetryRequested(id="retry-form-3", suspense_id=entry["_id"]))
    await door.world.settle()
    assert "form-3" in await ids(door, **of_cyd)


@pytest.mark.parametrize("query", ["status=billed", "status.ne=rejected", "usageCharacteristic.value=1", "noSuch=1"])
async def test_what_cannot_be_asked_for_is_refused(door: GatewayDoor, ada: dict[str, Any], query: str) -> None:
    assert (await door.http.get(f"{USAGE}?{query}")).status_code == 400


async def test_the_usage_of_an_account_is_found_by_an_index(door: GatewayDoor, ada: dict[str, Any]) -> None:
    query = {"$and": [{"account_id": {"$exists": True}}, {"account_id": {"$eq": ada["id"]}}]}
    plan = await door.rating["usage"].find(query).sort([("started_at", -1), ("_id", 1)]).explain()
    assert "account_id_1_started_at_1" in str(plan["queryPlanner"]["winningPlan"])
