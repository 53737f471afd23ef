"""An HTTP client that holds every answer of the gateway against TM Forum's own definitions, and a gateway to ask."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft7Validator, FormatChecker

from libs.contracts import (
    AppliedTax,
    BillDocument,
    BillIssued,
    BillLine,
    BillState,
    Charge,
    ChargeKind,
    ChargeState,
    PostalAddress,
    RunType,
)
from libs.periods import Period
from libs.runtime import to_document
from libs.runtime.mongo import database
from services.tmf_gateway.domain.links import TMF620, TMF635, TMF637, TMF666, TMF678
from services.tmf_gateway.specifications import swagger
from tests.world import GATEWAY, World, open_world

RESOURCES = {
    f"{TMF678}/customerBill": ("TMF678", "CustomerBill"),
    f"{TMF678}/customerBillOnDemand": ("TMF678", "CustomerBillOnDemand"),
    f"{TMF678}/appliedCustomerBillingRate": ("TMF678", "AppliedCustomerBillingRate"),
    f"{TMF666}/billingAccount": ("TMF666", "BillingAccount"),
    f"{TMF637}/product": ("TMF637", "Product"),
    f"{TMF620}/productOffering": ("TMF620", "ProductOffering"),
    f"{TMF620}/productOfferingPrice": ("TMF620", "ProductOfferingPrice"),
    f"{TMF620}/productSpecification": ("TMF620", "ProductSpecification"),
    f"{TMF635}/usage": ("TMF635", "Usage"),
    f"{TMF620}/hub": ("TMF620", "EventSubscription"),
    f"{TMF678}/hub": ("TMF678", "EventSubscription"),
    f"{TMF666}/hub": ("TMF666", "EventSubscription"),
    f"{TMF637}/hub": ("TMF637", "EventSubscription"),
}


@cache
def validator(api: str, definition: str) -> Draft7Validator:
    """The JSON schema of a definition."""
    return Draft7Validator(
        {"$ref": f"#/definitions/{definition}", "definitions": swagger(api)["definitions"]}, format_checker=FormatChecker()
    )


def assert_conforms(value: Any, api: str, definition: str) -> None:
    """Every instance fits its definition."""
    for instance in value if isinstance(value, list) else [value]:
        faults = [f"{'/'.join(map(str, fault.path))}: {fault.message}" for fault in validator(api, definition).iter_errors(instance)]
        assert not faults, f"not a {definition}: {faults}\n{json.dumps(instance, indent=1)}"


def exact(answer: httpx.Response) -> Any:
    """The body with numbers as decimals, digit by digit."""
    return json.loads(answer.text, parse_float=Decimal)


class GatewayClient(httpx.AsyncClient):
    """Checks what comes back: TMF errors for every refusal, whole resources against their definition, no null."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx does, and check the answer."""
        answer = await super().send(request, **options)
        if request.method not in ("HEAD", "OPTIONS") and answer.content and "json" in answer.headers["content-type"]:
            _check(request, answer)
        return answer

    async def open_account(self, **attributes: Any) -> dict[str, Any]:
        """A billing account of one person."""
        party = {"id": "p1", "name": "Ada", "@referredType": "Individual"}
        answer = await self.post(f"{TMF666}/billingAccount", json={"name": "Ada", "relatedParty": [party], **attributes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def open_product(self, account_id: str, msisdn: str, **attributes: Any) -> httpx.Response:
        """The answer to a POST of a product that holds a number."""
        body = {
            "name": "Mobile",
            "status": "active",
            "startDate": "2026-01-01T00:00:00Z",
            "billingAccount": {"id": account_id},
            "productOffering": {"id": "churn-plan"},
            "productCharacteristic": [{"name": "msisdn", "value": msisdn}],
        }
        return await self.post(f"{TMF637}/product", json={**body, **attributes})


def _check(request: httpx.Request, answer: httpx.Response) -> None:
    if not request.url.path.startswith("/tmf-api"):
        return
    body = answer.json()
    assert "null" not in _leaves(body), f"null sent: {answer.text}"
    if answer.status_code >= 400:
        assert_conforms(body, "TMF678", "Error")
        assert body["status"] == body["code"] == str(answer.status_code)
        return
    path = next(path for path in sorted(RESOURCES, key=len, reverse=True) if request.url.path.startswith(path))
    # A selection of fields is no whole resource, so required names may be absent.
    if "fields" not in request.url.params:
        assert_conforms(body, *RESOURCES[path])


def _leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*map(_leaves, value.values())) if value else set()
    if isinstance(value, list):
        return set().union(*map(_leaves, value)) if value else set()
    return {"null"} if value is None else set()


class GatewayDoor:
    """A running gateway, its client, and the collections of the services it reads."""

    def __init__(self, world: World, client: GatewayClient) -> None:
        self.world = world
        self.service = world.services["tmf_gateway"]
        self.settings = world.settings
        self.http = client
        self.invoicing = database(self.service.client, world.settings, "invoicing")
        self.rating = database(self.service.client, world.settings, "rating")
        self.ledger = database(self.service.client, world.settings, "ledger")

    async def seed_bills(self, *bills: BillIssued) -> None:
        """Bills as invoicing stores them."""
        await self.invoicing["bills"].insert_many([to_document(bill) for bill in bills])

    async def seed_charges(self, *charges: Charge) -> None:
        """Charges as rating stores them."""
        await self.rating["charges"].insert_many([to_document(charge) for charge in charges])


@asynccontextmanager
async def open_gateway(infrastructure: dict[str, str], *others: str) -> AsyncIterator[GatewayDoor]:
    """The gateway in this process, with other services when named."""
    async with open_world(infrastructure, ("tmf_gateway", *others)) as world:
        transport = httpx.ASGITransport(app=world.services["tmf_gateway"].http, raise_app_exceptions=False)
        async with GatewayClient(transport=transport, base_url=GATEWAY, timeout=30) as client:
            door = GatewayDoor(world, client)
            if "rating" not in others:
                await door.rating["tariffs"].insert_one({"_id": "of-tests", "offering_ids": list(OFFERINGS)})
            yield door


# Of the products that tests open where no rating is there to know rate books.
OFFERINGS = ("churn-plan", "mobile", "m", "other-plan")
MARCH = Period(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 4, 1, tzinfo=UTC))


def a_bill(
    number: int, *, account_id: str = "acc-1", amount: str = "100.00", state: BillState = BillState.NEW, **fields: Any
) -> BillIssued:
    """Bill `number`, issued `number` minutes into April, with 21 % tax."""
    issued_at = MARCH.end + timedelta(minutes=number)
    excluded = Decimal(amount)
    tax = (excluded * 21 / 100).quantize(Decimal("0.01"))
    taxes = (AppliedTax(category="standard", rate=Decimal("21"), amount=tax),)
    line = BillLine(
        charge_id=f"charge-{number}",
        product_id="product-1",
        product_name="Mobile",
        price_id="day",
        kind=ChargeKind.USAGE,
        description="Calls by day",
        usage_type="voice",
        unit="s",
        usage_count=3,
        quantity=Decimal(600),
        period=MARCH,
        amount=excluded,
        taxes=taxes,
    )
    known = {
        "id": f"{account_id}.2026-03.{number}",
        "bill_no": f"INV-{number:06d}",
        "account_id": account_id,
        "account_name": "Ada Lovelace",
        "address": PostalAddress(city="London"),
        "related_party_id": "p1",
        "related_party_name": "Ada",
        "run_type": RunType.ON_CYCLE,
        "cut_id": f"cut-{account_id}-{number}",
        "cause_id": "monthly:2026-03",
        "period": MARCH,
        "bill_date": issued_at,
        "payment_due_at": issued_at + timedelta(days=14),
        "currency": "EUR",
        "time_zone": "UTC",
        "lines": (line,),
        "tax_items": taxes,
        "tax_excluded_amount": excluded,
        "tax_included_amount": excluded + tax,
        "amount_due": excluded + tax,
        "remaining_amount": excluded + tax,
        "documents": (BillDocument(id=f"{account_id}.{number}.pdf", name="bill.pdf", mime_type="application/pdf"),),
        "template_version": "bill-1",
        "state": state,
        "last_update_at": issued_at,
    }
    return BillIssued(**{**known, **fields})


def a_charge(number: int, *, account_id: str = "acc-1", state: ChargeState = ChargeState.OPEN, **fields: Any) -> Charge:
    """Charge `number`: 1241/6000 while it is open, 0.21 afterwards."""
    opened_at = MARCH.start + timedelta(minutes=number)
    is_open, is_billed = state is ChargeState.OPEN, state is ChargeState.BILLED
    known = {
        "id": f"{account_id}|product-1|day|2026-03-01|{number}",
        "account_id": account_id,
        "product_id": "product-1",
        "product_name": "Mobile",
        "offering_id": "churn-plan",
        "price_id": "day",
        "kind": ChargeKind.USAGE,
        "description": "Calls by day",
        "usage_type": "voice",
        "unit": "s",
        "currency": "EUR",
        "period": MARCH,
        "sequence": number,
        "state": state,
        "usage_count": 3,
        "quantity": Decimal("73"),
        "sums": {"6000": Decimal(1241)},
        "amount": None if is_open else Decimal("0.21"),
        "cut_id": None if is_open else "cut-1",
        "bill_id": "bill-1" if is_billed else None,
        "applied_taxes": (AppliedTax(category="standard", rate=Decimal("21"), amount=Decimal("0.04")),) if is_billed else (),
        "opened_at": opened_at,
        "updated_at": opened_at,
    }
    return Charge(**{**known, **fields})
