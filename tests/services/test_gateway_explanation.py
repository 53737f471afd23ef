"""Why a rated usage costs what it costs, asked over HTTP."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from urllib.parse import quote

import pytest

from libs.contracts import RerateRequested, TariffPublished
from libs.periods import calendar_month
from tests.gateway_client import GatewayDoor, assert_conforms, open_gateway
from tests.usages import usage_of

NOW = datetime(2026, 4, 10, tzinfo=UTC)
CORRECTED = """
id: churn-corrected
effective_from: 2026-03-01
currency: USD
offerings:
  churn-plan:
    usage_prices:
      - {id: voice-day, description: "Calls, day", match: {usage_type: voice}, price: {amount: 0.05, per: 60 s}, increments: 60/60}
"""


@pytest.fixture(scope="module")
async def door(infrastructure: dict[str, str]) -> AsyncIterator[GatewayDoor]:
    async with open_gateway(infrastructure, "rating") as opened:
        yield opened


@pytest.fixture(scope="module")
async def account_id(door: GatewayDoor) -> str:
    """Ada, who has called for 90 s, and whose number has sent a message that has no price."""
    account = await door.http.open_account(currency="USD", timeZone="America/New_York")
    await door.http.open_product(account["id"], "+12125550001", startDate="2025-01-01T00:00:00Z")
    await door.world.settle()
    call = {"identifier": "+12125550001", "started_at": "2026-03-02T15:00:00Z", "unit": "s", "called_number": "+12125559999"}
    await door.world.publish(
        usage_of(id="call/1", usage_type="voice", quantity=90, **call), usage_of(id="sms-1", usage_type="sms", quantity=1, **call)
    )
    await door.world.settle()
    return account["id"]


async def explained(door: GatewayDoor, usage_id: str) -> dict[str, Any]:
    answer = await door.http.get(f"/tarifa/v1/usage/{quote(usage_id, safe='')}/explanation")
    assert answer.status_code == 200, answer.text
    return answer.json()


def amount(told: dict[str, str]) -> Fraction:
    return Fraction(int(told["numerator"]), int(told["denominator"]))


async def test_a_rated_usage_is_explained_step_by_step(door: GatewayDoor, account_id: str) -> None:
    told = await explained(door, "call/1")

    assert (told["accountId"], told["usageType"], told["quantity"], told["amount"]["unit"]) == (account_id, "voice", 90, "USD")
    assert amount(told["amount"]) == Fraction(255, 1000)
    assert [(part["priceId"], part["rateBook"], part["chargedQuantity"]) for part in told["parts"]] == [("voice-day", "churn", 90)]
    *steps, last = told["steps"]
    assert [step["topic"] for step in steps][:2] == ["book", "match"]
    assert last["topic"] == "amount"
    assert sum(amount(step["amount"]) for step in steps if "amount" in step) == amount(last["amount"]) == Fraction(255, 1000)
    assert "reratings" not in told


async def test_after_re_rating_the_price_that_stands_is_explained_and_the_old_one_told(door: GatewayDoor, account_id: str) -> None:
    await door.world.publish(TariffPublished.of("churn-corrected", CORRECTED, NOW))
    await door.world.settle()
    period = calendar_month("2026-03", "America/New_York")
    await door.world.publish(RerateRequested(id="r1", account_id=account_id, period=period, requested_at=NOW))
    await door.world.settle()

    told = await explained(door, "call/1")
    assert amount(told["amount"]) == amount(told["steps"][-1]["amount"]) == Fraction(10, 100)
    (rerating,) = told["reratings"]
    assert rerating["requestId"] == "r1"
    assert [part["rateBook"] for part in (*rerating["old"], *rerating["new"])] == ["churn", "churn-corrected"]


@pytest.mark.parametrize(
    ("usage_id", "message"),
    [("absent", "there is no usage absent"), ("sms-1", "usage sms-1 has no price: it waits in suspense, no-price")],
)
async def test_what_was_not_rated_is_not_found(door: GatewayDoor, account_id: str, usage_id: str, message: str) -> None:
    answer = await door.http.get(f"/tarifa/v1/usage/{usage_id}/explanation")
    assert (answer.status_code, answer.json()["message"]) == (404, message)
    assert_conforms(answer.json(), "TMF678", "Error")


async def test_the_door_is_described(door: GatewayDoor) -> None:
    document = (await door.http.get("/openapi.json")).json()
    operation = document["paths"]["/tarifa/v1/usage/{id}/explanation"]["get"]
    assert set(operation["responses"]) == {"200", "404", "406"}
