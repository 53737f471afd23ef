"""TMF678 Customer Bill Management v4."""

import uuid
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.contracts import AccountState, BillState, BillStateChanged, BillStateRefused, BillStateRequested
from libs.exact_json import write_json
from libs.runtime import to_document
from services.tmf_gateway.asking import ask
from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.events import hub_event
from services.tmf_gateway.domain.links import TMF678
from services.tmf_gateway.domain.patching import as_read, wanted_changes
from services.tmf_gateway.domain.preconditions import check_if_match, etag_of
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, Unavailable
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.tmf678 import (
    APPLIED_BILLING_RATE,
    BILL_ON_DEMAND,
    CUSTOMER_BILL,
    SCHEMA,
    bill_on_demand,
    customer_bill,
    new_on_demand_request,
    on_demand_fact,
    requested_bill_state,
)
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import created_response, now, read_object, read_patch, resource_response
from services.tmf_gateway.idempotency import Creation
from services.tmf_gateway.routes.reading import add_reading, find
from services.tmf_gateway.store import ACCOUNTS, ON_DEMAND_REQUESTS


def tmf678_routes(gateway: Gateway) -> APIRouter:
    """Bills, rates and bills on demand."""
    routes = APIRouter()
    links, bills = gateway.links, gateway.sources.bills
    add_reading(routes, CUSTOMER_BILL, bills, links)
    add_reading(routes, APPLIED_BILLING_RATE, gateway.sources.charges, links)
    add_reading(routes, BILL_ON_DEMAND, gateway.database[ON_DEMAND_REQUESTS], links)

    @routes.patch(f"{TMF678}/customerBill/{{id}}")
    async def patch_bill(request: Request) -> Response:
        change = await read_patch(request)
        bill = await find(bills, CUSTOMER_BILL, request.path_params["id"])
        shown = write_json(customer_bill(bill, links))
        check_if_match(request.headers.get("if-match"), etag_of(shown))
        state = requested_bill_state(wanted_changes(as_read(shown), change, CUSTOMER_BILL.read_only), bill["state"])
        moved = bill if state is None else await _move_bill(gateway, bill, state)
        return resource_response(write_json(customer_bill(moved, links)))

    @routes.post(f"{TMF678}/customerBillOnDemand")
    async def request_bill(request: Request) -> Response:
        body = await read_object(request, JSON)
        SCHEMA.check_types("CustomerBillOnDemand", body)
        return await gateway.idempotency.once(request, body, ON_DEMAND_REQUESTS, partial(ask_for_bill, body), asked, now())

    async def ask_for_bill(sent: dict[str, Any], creation: Creation) -> Response:
        wanted = {**await wanted_bill(gateway, sent, creation.id), **creation.mark}
        shown = bill_on_demand(wanted, links)
        facts = [hub_event(BILL_ON_DEMAND, "Create", shown, cause=wanted["_id"], at=wanted["requested_at"]), on_demand_fact(wanted)]
        await gateway.store.add(ON_DEMAND_REQUESTS, wanted, facts)
        await gateway.outbox.send(ON_DEMAND_REQUESTS, wanted, facts)
        return created_response(shown)

    def asked(wanted: dict[str, Any]) -> Response:
        return created_response(bill_on_demand(wanted, links))

    return routes


async def wanted_bill(gateway: Gateway, sent: dict[str, Any], id: str) -> Document:
    """Return the document of a request for a bill, of the body that a client sent. Raises BadRequest."""
    body = SCHEMA.conform("CustomerBillOnDemand_Create", sent)
    account_id = body.get("billingAccount", {}).get("id")
    if account_id is None:
        raise BadRequest("billingAccount.id is missing")
    account = await gateway.store.find(ACCOUNTS, account_id)
    if account is None or account["resource"]["state"] == AccountState.CLOSED:
        raise BadRequest(f"billingAccount {account_id} {'is closed' if account else 'does not exist'}")
    return new_on_demand_request(body, id, account, now())


async def _move_bill(gateway: Gateway, bill: Document, state: BillState) -> Document:
    """Ask invoicing for another state and return the bill's document afterwards."""
    wanted = BillStateRequested(id=uuid.uuid4().hex, bill_id=bill["_id"], account_id=bill["account_id"], state=state, requested_at=now())
    answer = await ask(gateway, wanted, gateway.answer_wait_s)
    if isinstance(answer, BillStateChanged):
        return to_document(answer.bill)
    present = await find(gateway.sources.bills, CUSTOMER_BILL, bill["_id"])
    if answer is None and present["state"] != state:
        raise Unavailable("invoicing did not answer in time; the change may still happen", {"Retry-After": "5"})
    if isinstance(answer, BillStateRefused) and not answer.unchanged:
        raise Conflict(answer.reason)
    return present
