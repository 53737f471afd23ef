"""Rendered documents of bills, which are no JSON."""

import uuid
from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from gridfs.asynchronous import AsyncGridOut

from libs.contracts import BillDocumentRequested
from services.tmf_gateway.asking import ask
from services.tmf_gateway.domain.links import TMF678
from services.tmf_gateway.domain.refusal import NotFound, Unavailable
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.tmf678 import CUSTOMER_BILL
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import now
from services.tmf_gateway.routes.reading import find


def bill_document_routes(gateway: Gateway) -> APIRouter:
    """GET of the documents of a bill."""
    routes = APIRouter()
    bills = gateway.sources.bills

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


async def _rendered(gateway: Gateway, bill: Document, document_id: str) -> AsyncGridOut:
    """The rendered document; the first who reads it has it rendered."""
    document = await gateway.sources.document(document_id)
    if document is None:
        wanted = BillDocumentRequested(id=uuid.uuid4().hex, bill_id=bill["_id"], account_id=bill["account_id"], requested_at=now())
        await ask(gateway, wanted, gateway.document_wait_s)
        document = await gateway.sources.document(document_id)
    if document is None:
        raise Unavailable("the document was not rendered in time; ask again", {"Retry-After": "5"})
    return document


async def _chunks(document: AsyncGridOut) -> AsyncIterator[bytes]:
    try:
        while chunk := await document.readchunk():
            yield chunk
    finally:
        await document.close()
