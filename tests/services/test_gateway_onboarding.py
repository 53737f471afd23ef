"""A CRM opens accounts and products: what it may send, what it gets, and what the other services hear."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from libs.contracts import AccountChanged, AccountState, HubEventRaised, ProductChanged, ProductStatus
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666
from tests.gateway_client import GatewayDoor, exact, open_gateway
from tests.world import read_told

ACCOUNTS = f"{TMF666}/billingAccount"
PRODUCTS = f"{TMF637}/product"


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway alone."""
    async with open_gateway(infrastructure) as opened:
        yield opened


async def heard(door, fact, id):
    """The facts about one resource, in order."""
    return [found for found in await read_told(door.settings, fact) if id in (found.id, getattr(found, "resource_id", None))]


async def test_an_opened_account_is_found_under_its_location(door):
    party = [{"id": "p1", "name": "Ada", "@referredType": "Individual"}]
    answer = await door.http.post(ACCOUNTS, json={"name": "Ada", "relatedParty": party, "currency": "USD"})
    shown = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"] == shown["href"]
    assert (await door.http.get(shown["href"])).json() == shown
    assert (await door.http.get(ACCOUNTS)).json()[0]["id"] == shown["id"]


async def test_an_account_is_told_to_the_other_services_and_the_hub(door):
    account = await door.http.open_account(
        currency="USD", timeZone="America/New_York", billStructure={"cycleSpecification": {"name": "weekly"}}
    )

    (fact,) = await heard(door, AccountChanged, account["id"])
    (event,) = await heard(door, HubEventRaised, account["id"])
    assert (fact.currency, fact.time_zone, fact.cycle, fact.revision) == ("USD", "America/New_York", "weekly", 1)
    assert event.event_type == "BillingAccountCreateEvent"
    assert event.envelope["event"]["billingAccount"]["id"] == account["id"]


async def test_amounts_that_a_client_sends_stay_what_they_are(door):
    party = b'{"id":"p","name":"Ada","@referredType":"Individual"}'
    limit = b'{"unit":"EUR","value":123456789012345.10}'
    body = b'{"name":"Ada","relatedParty":[' + party + b'],"creditLimit":' + limit + b"}"
    answer = await door.http.post(ACCOUNTS, content=body, headers={"Content-Type": "application/json"})

    assert b'"value":123456789012345.10' in (await door.http.get(answer.headers["Location"])).content


async def test_a_closed_account_is_told_and_stays_closed(door):
    account = await door.http.open_account()
    closed = await door.http.patch(account["href"], json={"state": "closed"})
    again = await door.http.patch(account["href"], json={"state": "Closed"})
    reopened = await door.http.patch(account["href"], json={"state": "active"})

    assert (closed.status_code, closed.json()["state"], again.status_code, reopened.status_code) == (200, "closed", 200, 409)
    facts = await heard(door, AccountChanged, account["id"])
    assert [(fact.revision, fact.state) for fact in facts] == [(1, AccountState.ACTIVE), (2, AccountState.CLOSED)]
    assert [event.event_type for event in await heard(door, HubEventRaised, account["id"])] == [
        "BillingAccountCreateEvent",
        "BillingAccountStateChangeEvent",
    ]


async def test_the_balance_is_the_ledgers_and_no_client_sets_it(door):
    account = await door.http.open_account()
    await door.ledger["balances"].insert_one(
        {"_id": f"{account['id']} EUR", "account_id": account["id"], "currency": "EUR", "receivable": Decimal("121.00")}
    )
    (balance,) = exact(await door.http.get(account["href"]))["accountBalance"]
    refused = await door.http.patch(account["href"], json={"accountBalance": []})

    assert (balance["balanceType"], balance["amount"]) == ("receivableBalance", {"unit": "EUR", "value": Decimal("121.00")})
    assert refused.status_code == 400
    assert "ledger" in refused.json()["message"]


async def test_many_changes_at_once_are_all_kept(door):
    account = await door.http.open_account()
    answers = await asyncio.gather(*(door.http.patch(account["href"], json={f"extension{n}": n}) for n in range(5)))

    assert [answer.status_code for answer in answers] == [200] * 5
    stored = (await door.http.get(account["href"])).json()
    assert [stored[f"extension{n}"] for n in range(5)] == list(range(5))
    assert sorted(fact.revision for fact in await heard(door, AccountChanged, account["id"])) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("path", [ACCOUNTS, PRODUCTS])
async def test_a_patch_of_what_does_not_exist_is_404(door, path):
    assert (await door.http.patch(f"{path}/404ID", json={"name": "x"})).status_code == 404


@pytest.mark.parametrize("body", [{}, {"name": "Ada"}, {"name": "Ada", "relatedParty": []}, {"name": "Ada", "relatedParty": [{"id": "1"}]}])
async def test_an_account_without_what_it_needs_is_400(door, body):
    assert (await door.http.post(ACCOUNTS, json=body)).status_code == 400


async def test_a_product_and_its_number_are_told(door):
    account = await door.http.open_account()
    answer = await door.http.open_product(account["id"], "+34 600 100 001")
    shown = answer.json()

    assert answer.status_code == 201
    assert (await door.http.get(answer.headers["Location"])).json() == shown
    (fact,) = await heard(door, ProductChanged, shown["id"])
    assert (fact.account_id, fact.offering_id, fact.status) == (account["id"], "churn-plan", ProductStatus.ACTIVE)
    assert [(held.kind, held.value) for held in fact.identifiers] == [("msisdn", "+34600100001")]
    found = (await door.http.get(f"{PRODUCTS}?productCharacteristic.value=+34600100001")).json()
    assert [product["id"] for product in found] == [shown["id"]]
    assert len((await door.http.get(PRODUCTS, params={"billingAccount.id": account["id"]})).json()) == 1


async def test_a_number_is_held_by_one_product_at_a_time(door):
    account = await door.http.open_account()
    number = "+34600100002"
    first = await door.http.open_product(account["id"], number)
    taken = await door.http.open_product(account["id"], number)
    ended = await door.http.patch(first.json()["href"], json={"status": "terminated", "terminationDate": "2026-03-01T00:00:00Z"})
    overlapping = await door.http.open_product(account["id"], number, startDate="2026-02-28T00:00:00Z")
    ported = await door.http.open_product(account["id"], number, startDate="2026-03-01T00:00:00Z")
    extended = await door.http.patch(first.json()["href"], json={"terminationDate": "2026-03-02T00:00:00Z"})

    codes = [answer.status_code for answer in (first, taken, ended, overlapping, ported, extended)]
    assert codes == [201, 409, 200, 409, 201, 409]


async def test_of_many_products_that_want_a_number_one_gets_it(door):
    account = await door.http.open_account()
    answers = await asyncio.gather(*(door.http.open_product(account["id"], "+34600100003") for _ in range(8)))

    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7


async def test_a_product_of_an_unknown_or_closed_account_is_400(door):
    closed = await door.http.open_account(state="closed")

    assert (await door.http.open_product("404ID", "+34600100004")).status_code == 400
    assert (await door.http.open_product(closed["id"], "+34600100004")).status_code == 400


@pytest.mark.parametrize(
    ("attributes", "known"),
    [
        ({"taxCategory": "luxury"}, "reduced, standard, us-communications, zero"),
        ({"taxCategory": "Standard"}, "reduced, standard, us-communications, zero"),
    ],
)
async def test_a_tax_category_that_no_bill_knows_is_refused_with_those_that_there_are(door, attributes, known):
    party = [{"id": "p1", "name": "Ada", "@referredType": "Individual"}]
    refused = await door.http.post(ACCOUNTS, json={"name": "Ada", "relatedParty": party, **attributes})
    assert (refused.status_code, known in refused.json()["message"]) == (400, True)
    account = await door.http.open_account()
    patched = await door.http.patch(account["href"], json=attributes)
    assert (patched.status_code, known in patched.json()["message"]) == (400, True)
    assert (await door.http.patch(account["href"], json={"taxCategory": "reduced"})).status_code == 200


async def test_the_tax_categories_are_listed_with_their_taxes(door):
    categories = exact(await door.http.get("/tarifa/v1/taxCategory", params={"country": "ES"}))
    assert [category["id"] for category in categories] == ["reduced", "standard", "us-communications", "zero"]
    assert categories[1]["tax"] == [{"taxCategory": "standard", "taxRate": 21}]


async def test_a_price_with_a_tax_category_that_no_bill_knows_is_refused(door):
    price = {"name": "Calls", "priceType": "recurring", "price": {"unit": "EUR", "value": 1}, "recurringChargePeriodType": "month"}
    refused = await door.http.post(f"{TMF620}/productOfferingPrice", json={**price, "tax": [{"taxCategory": "luxury"}]})
    assert (refused.status_code, "there are reduced, standard" in refused.json()["message"]) == (400, True)
    taken = await door.http.post(f"{TMF620}/productOfferingPrice", json={**price, "tax": [{"taxCategory": "zero"}]})
    assert taken.status_code == 201
    assert (await door.http.patch(taken.json()["href"], json={"tax": [{"taxCategory": "luxury"}]})).status_code == 400


async def test_an_offering_that_nobody_could_price_is_refused_with_those_that_there_are(door):
    account = await door.http.open_account()
    refused = await door.http.open_product(account["id"], "+34600300001", productOffering={"id": "no-such-plan"})
    assert (refused.status_code, "there are churn-plan" in refused.json()["message"]) == (400, True)
    in_design = (await door.http.post(f"{TMF620}/productOffering", json={"name": "Plan"})).json()
    early = await door.http.open_product(account["id"], "+34600300001", productOffering={"id": in_design["id"]})
    assert (early.status_code, "In study: a product can have it once it is launched" in early.json()["message"]) == (400, True)
    product = (await door.http.open_product(account["id"], "+34600300001")).json()
    moved = await door.http.patch(product["href"], json={"productOffering": {"id": "no-such-plan"}})
    assert moved.status_code == 400
