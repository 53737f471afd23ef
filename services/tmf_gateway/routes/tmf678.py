"""TMF678 Customer Bill Management v4."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from gridfs.asynchronous import AsyncGridOut

from libs.contracts import AccountState, BillDocumentRequested, BillState, BillStateChanged, BillStateRefused, BillStateRequested
from libs.runtime import to_document
from services.tmf_gateway.answers import Answer
from services.tmf_gateway.domain.body import JSON, MERGE_PATCH
from services.tmf_gateway.domain.events import hub_event
from services.tmf_gateway.domain.links import TMF678
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, NotFound, Unavailable
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
from services.tmf_gateway.http import json_response, now, read_object
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
        patch = await read_object(request, JSON, MERGE_PATCH)
        bill = await find(bills, CUSTOMER_BILL, request.path_params["id"])
        state = requested_bill_state(patch, bill["state"])
        moved = bill if state is None else await _move_bill(gateway, bill, state)
        return json_response(customer_bill(moved, links))

    @routes.post(f"{TMF678}/customerBillOnDemand")
    async def request_bill(request: Request) -> Response:
        body = SCHEMA.conform("CustomerBillOnDemand_Create", await read_object(request, JSON))
        account_id = body.get("billingAccount", {}).get("id")
        if account_id is None:
            raise BadRequest("billingAccount.id is missing")
        account = await gateway.store.find(ACCOUNTS, account_id)
        if account is None or account["resource"]["state"] == AccountState.CLOSED:
            raise BadRequest(f"billingAccount {account_id} {'is closed' if account else 'does not exist'}")
        wanted = new_on_demand_request(body, uuid.uuid4().hex, account, now())
        shown = bill_on_demand(wanted, links)
        facts = [hub_event(BILL_ON_DEMAND, "Create", shown, cause=wanted["_id"], at=wanted["requested_at"]), on_demand_fact(wanted)]
        await gateway.store.add(ON_DEMAND_REQUESTS, wanted, facts)
        await gateway.outbox.send(ON_DEMAND_REQUESTS, wanted, facts)
        return json_response(shown, 201, {"Location": shown["href"]})

    @routes.api_route(f"{TMF678}/customerBill/{{id}}/billDocument/{{document_id}}", methods=["GET", "HEAD"])
    async def read_document(request: Request) -> Response:
        bill = await find(bills, CUSTOMER_BILL, request.path_params["id"])
        named = [document for document in bill["documents"] if document["id"] == request.path_params["document_id"]]
        if not named:
            raise NotFound(f"customerBill {bill['_id']} has no billDocument {request.path_params['document_id']}")
        document = await _rendered(gateway, bill, named[0]["id"])
        headers = {"Content-Length": str(document.length), "Content-Disposition": f"inline; filename*=UTF-8''{quote(named[0]['name'])}"}
        if request.method == "HEAD":
            await document.close()
            return Response(headers=headers, media_type=named[0]["mime_type"])
        return StreamingResponse(_chunks(document), headers=headers, media_type=named[0]["mime_type"])

    return routes


async def _move_bill(gateway: Gateway, bill: Document, state: BillState) -> Document:
    """Ask invoicing for another state and return the bill's document afterwards."""
    wanted = BillStateRequested(id=uuid.uuid4().hex, bill_id=bill["_id"], account_id=bill["account_id"], state=state, requested_at=now())
    answer = await _ask(gateway, wanted, gateway.answer_wait_s)
    if isinstance(answer, BillStateChanged):
        return to_document(answer.bill)
    present = await find(gateway.sources.bills, CUSTOMER_BILL, bill["_id"])
    if answer is None and present["state"] != state:
        raise Unavailable("invoicing did not answer in time; the change may still happen", {"Retry-After": "5"})
    if isinstance(answer, BillStateRefused) and not answer.unchanged:
        raise Conflict(answer.reason)
    return present


async def _rendered(gateway: Gateway, bill: Document, document_id: str) -> AsyncGridOut:
    """The rendered document; the first who reads it has it rendered."""
    document = await gateway.sources.document(document_id)
    if document is None:
        wanted = BillDocumentRequested(id=uuid.uuid4().hex, bill_id=bill["_id"], account_id=bill["account_id"], requested_at=now())
        await _ask(gateway, wanted, gateway.document_wait_s)
        document = await gateway.sources.document(document_id)
    if document is None:
        raise Unavailable("the document was not rendered in time; ask again", {"Retry-After": "5"})
    return document


async def _ask(gateway: Gateway, request: BillStateRequested | BillDocumentRequested, wait_s: float) -> Answer | None:
    """Publish a request and wait for its answer; None when there was none in time, or Kafka did not take the request."""
    with gateway.answers.awaiting(request.id) as answer:
        try:
            async with asyncio.timeout(wait_s):
                await gateway.publish([request])
                return await answer
        except (TimeoutError, KafkaError):
            return None


async def _chunks(document: AsyncGridOut) -> AsyncIterator[bytes]:
    try:
        while chunk := await document.readchunk():
            yield chunk
    finally:
        await document.close()
