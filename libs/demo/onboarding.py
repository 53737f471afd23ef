"""The part of a CRM: it opens a billing account and a product for every customer over the gateway's TM Forum APIs."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx

from libs.demo.churn import ChurnCustomer
from libs.demo.mediation import Mediation
from libs.demo.numbers import COHORTS_MAX
from libs.periods import calendar_month

TMF666 = "/tmf-api/accountManagement/v4"
TMF637 = "/tmf-api/productInventory/v4"
OFFERING = "churn-plan"
TAX_CATEGORY = "us-communications"
CONCURRENT_REQUESTS = 16


class GatewayRefused(Exception):
    """The gateway answered something else than it should; says what."""


async def next_cohort(gateway: httpx.AsyncClient) -> int:
    """The number of the first cohort that no account belongs to: every demo has customers of its own. Raises GatewayRefused."""
    for cohort in range(1, COHORTS_MAX + 1):
        accounts = read_answer(await gateway.get(f"{TMF666}/billingAccount", params={"name": account_name(cohort, 1), "limit": 1}))
        if not accounts:
            return cohort
    raise GatewayRefused(f"{COHORTS_MAX} demos have run here and used up their telephone numbers")


async def open_accounts(
    gateway: httpx.AsyncClient, mediation: Mediation, customers: Iterable[ChurnCustomer], on_opened: Callable[[], None]
) -> dict[int, str]:
    """An active account with one product each; the account's id by the customer's number. Raises GatewayRefused."""
    waiting = iter(customers)
    opened: dict[int, str] = {}
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONCURRENT_REQUESTS):
                group.create_task(_open_while_there_are(gateway, mediation, waiting, opened, on_opened))
    except* (GatewayRefused, httpx.HTTPError) as failures:
        first = failures.exceptions[0]
        # Many of httpx's errors say nothing but their type.
        raise GatewayRefused(str(first) or type(first).__name__) from failures
    return opened


async def _open_while_there_are(
    gateway: httpx.AsyncClient,
    mediation: Mediation,
    waiting: Iterator[ChurnCustomer],
    opened: dict[int, str],
    on_opened: Callable[[], None],
) -> None:
    for customer in waiting:
        account = read_answer(await gateway.post(f"{TMF666}/billingAccount", json=account_body(mediation, customer)))
        read_answer(await gateway.post(f"{TMF637}/product", json=product_body(mediation, customer, account["id"])))
        opened[customer.number] = account["id"]
        on_opened()


def account_name(cohort: int, customer: int) -> str:
    """Demo 3 customer 0042. Without a comma, which would mean «or» in a TMF filter."""
    return f"Demo {cohort} customer {customer:04d}"


def cycle_name(cohort: int) -> str:
    """The billing cycle of a cohort, which no other account has."""
    return f"demo-{cohort}"


def account_body(mediation: Mediation, customer: ChurnCustomer) -> dict[str, Any]:
    """A TMF666 billingAccount; `currency`, `timeZone` and `taxCategory` are Tarifa's extensions."""
    name = account_name(mediation.cohort, customer.number)
    start = calendar_month(mediation.period, customer.time_zone).start.isoformat()
    return {
        "name": name,
        "state": "active",
        "currency": "USD",
        "timeZone": customer.time_zone,
        "taxCategory": TAX_CATEGORY,
        "billStructure": {"cycleSpecification": {"name": cycle_name(mediation.cohort), "isRef": False}},
        "relatedParty": [
            {"id": f"demo-{mediation.cohort}-{customer.number:04d}", "name": name, "role": "customer", "@referredType": "Individual"}
        ],
        "contact": [
            {
                "contactType": "billing",
                "contactName": name,
                "validFor": {"startDateTime": start},
                "contactMedium": [
                    {
                        "mediumType": "postalAddress",
                        "preferred": True,
                        "characteristic": {
                            "street1": f"{customer.number} Main Street",
                            "stateOrProvince": customer.state,
                            "country": "US",
                        },
                    }
                ],
            }
        ],
    }


def product_body(mediation: Mediation, customer: ChurnCustomer, account_id: str) -> dict[str, Any]:
    """A TMF637 product that holds the customer's number from the start of the month."""
    return {
        "name": "Telephone line",
        "status": "active",
        "startDate": calendar_month(mediation.period, customer.time_zone).start.isoformat(),
        "billingAccount": {"id": account_id},
        "productOffering": {"id": OFFERING, "name": "Churn plan"},
        "productCharacteristic": [{"name": "msisdn", "value": mediation.identifier(customer)}],
    }


def read_answer(answer: httpx.Response) -> Any:
    """The resource of a successful answer. Raises GatewayRefused."""
    if not answer.is_success:
        raise GatewayRefused(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
    return answer.json()
