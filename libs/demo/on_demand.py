"""A bill on demand, as a CRM asks for it: POST, then look until the request has ended; and the bill with its PDF."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import httpx

from libs.demo.onboarding import GatewayRefused, read_answer

TMF678 = "/tmf-api/customerBillManagement/v4"
POLL_S = 0.02
END_MAX_S = 60.0
PDF_MAX_S = 60.0


async def request_bill(gateway: httpx.AsyncClient, account_id: str, on_state: Callable[[str, float], None]) -> dict[str, Any]:
    """The ended TMF678 customerBillOnDemand; `on_state(state, seconds since the POST)` with each state that was seen.

    Raises GatewayRefused, also when it has not ended after a minute.
    """
    asked_at = time.monotonic()
    request = read_answer(
        await gateway.post(f"{TMF678}/customerBillOnDemand", json={"name": "Demo bill", "billingAccount": {"id": account_id}})
    )
    on_state(request["state"], time.monotonic() - asked_at)
    while request["state"] == "inProgress":
        if time.monotonic() - asked_at > END_MAX_S:
            raise GatewayRefused(f"the bill on demand {request['id']} is still in progress after {END_MAX_S:g} s")
        await asyncio.sleep(POLL_S)
        request = read_answer(await gateway.get(f"{TMF678}/customerBillOnDemand/{request['id']}"))
    on_state(request["state"], time.monotonic() - asked_at)
    return request


async def read_bill(gateway: httpx.AsyncClient, bill_id: str) -> dict[str, Any]:
    """The TMF678 customerBill. Raises GatewayRefused."""
    return read_answer(await gateway.get(f"{TMF678}/customerBill/{bill_id}"))


async def fetch_pdf(gateway: httpx.AsyncClient, bill: dict[str, Any]) -> bytes:
    """The bill's document; the first to ask has it rendered. Raises GatewayRefused."""
    # Only the path: the public address in the URL need not be reachable from here.
    answer = await gateway.get(httpx.URL(bill["billDocument"][0]["url"]).path, timeout=PDF_MAX_S)
    if not answer.is_success or not answer.content.startswith(b"%PDF"):
        raise GatewayRefused(f"GET {answer.request.url} brought no PDF: {answer.status_code} {answer.headers.get('content-type')}")
    return answer.content
