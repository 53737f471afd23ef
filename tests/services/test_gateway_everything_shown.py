"""Whatever an answer shows can be filtered by, and finds the resource that shows it, or is refused: it never finds nothing in silence."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import pytest

from libs.contracts import ChargeState
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666, TMF678
from tests.gateway_client import GatewayDoor, a_bill, a_charge, exact, open_gateway

PATHS = (
    f"{TMF678}/customerBill",
    f"{TMF678}/appliedCustomerBillingRate",
    f"{TMF678}/customerBillOnDemand",
    f"{TMF666}/billingAccount",
    f"{TMF637}/product",
    f"{TMF620}/productOffering",
    f"{TMF620}/productOfferingPrice",
    f"{TMF620}/productSpecification",
)


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway with a resource or two of every kind, with and without what clients may leave out."""
    async with open_gateway(infrastructure) as opened:
        await opened.seed_bills(a_bill(1), a_bill(2, related_party_id=None, related_party_name=None))
        await opened.seed_charges(a_charge(1), a_charge(2, state=ChargeState.CLOSED), a_charge(3, state=ChargeState.BILLED))
        await _post(opened)
        yield opened


async def _post(door: GatewayDoor) -> None:
    medium = {"mediumType": "postal", "preferred": True, "characteristic": {"city": "London", "country": "GB"}}
    contact = {"contactType": "billing", "contactMedium": [medium]}
    account = await door.http.open_account(
        creditLimit={"unit": "EUR", "value": 12.5}, contact=[contact], billStructure={"cycleSpecification": {"id": "weekly"}}
    )
    await door.http.open_product(account["id"], "+34600000001")
    href = {"href": "https://crm.example/accounts/7", "@referredType": "Account"}
    await door.http.open_product(account["id"], "+34600000002", billingAccount={"id": account["id"], **href})
    await door.http.post(f"{TMF678}/customerBillOnDemand", json={"billingAccount": {"id": account["id"]}, "name": "now, please"})
    specification = (await door.http.post(f"{TMF620}/productSpecification", json={"name": 'a "quoted" name; with, all'})).json()
    usage = {"priceType": "usage", "price": {"unit": "EUR", "value": 0.17}, "unitOfMeasure": {"amount": 60, "units": "s"}}
    price = (await door.http.post(f"{TMF620}/productOfferingPrice", json={"name": "Calls", "@type": "CallPrice", **usage})).json()
    references = {"productOfferingPrice": [{"id": price["id"]}], "productSpecification": {"id": specification["id"]}}
    validity = {"validFor": {"startDateTime": "2026-01-01T00:00:00Z"}}
    await door.http.post(f"{TMF620}/productOffering", json={"name": "Plan", **references, **validity})


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every attribute path with the value that it is shown with, as a client would write it."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, path)
    elif isinstance(value, bool):
        yield path, str(value).lower()
    else:
        yield path, f"{value:f}" if isinstance(value, Decimal) else f'"{value}"'


@pytest.mark.parametrize("path", PATHS)
async def test_everything_shown_can_be_filtered_by_or_is_refused(door, path):
    shown = exact(await door.http.get(path))
    assert shown
    found = 0
    for resource in shown:
        for attribute, value in leaves(resource):
            same = await door.http.get(path, params={attribute: value, "fields": "id"})
            others = await door.http.get(path, params={f"{attribute}.ne": value, "fields": "id"})
            assert (same.status_code, others.status_code) in ((200, 200), (400, 400)), (attribute, value, same.text)
            if same.status_code == 200:
                found += 1
                assert resource["id"] in {each["id"] for each in same.json()}, (attribute, value)
                assert resource["id"] not in {each["id"] for each in others.json()}, (attribute, value)
    assert found > 5 * len(shown)


@pytest.mark.parametrize("path", PATHS)
async def test_a_date_alone_finds_what_is_shown_with_a_time_of_that_day(door, path):
    for resource in exact(await door.http.get(path)):
        days = [(attribute, value[:11] + '"') for attribute, value in leaves(resource) if value[5:6] == "-" and value[11:12] == "T"]
        for attribute, day in days:
            answer = await door.http.get(path, params={attribute: day})
            assert resource["id"] in {each["id"] for each in answer.json()}, (attribute, day)
