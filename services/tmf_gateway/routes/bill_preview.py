"""The bill that would be issued now, without issuing it: Tarifa's own door, outside TM Forum's paths."""

import uuid

from fastapi import APIRouter, Request, Response

from libs.contracts import BillPreviewed, BillPreviewRefused
from libs.runtime import to_document
from services.tmf_gateway.asking import ask
from services.tmf_gateway.domain.bill_preview import PREVIEW_PATH, bill_preview
from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.refusal import Conflict, Unavailable
from services.tmf_gateway.domain.tmf678 import SCHEMA, preview_fact
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, read_object
from services.tmf_gateway.routes.tmf678 import wanted_bill


def bill_preview_routes(gateway: Gateway) -> APIRouter:
    """POST of a request for a bill that is not to be issued."""
    routes = APIRouter()

    @routes.post(PREVIEW_PATH)
    async def preview_bill(request: Request) -> Response:
        body = await read_object(request, JSON)
        SCHEMA.check_types("CustomerBillOnDemand", body)
        wanted = await wanted_bill(gateway, body, uuid.uuid4().hex)
        answer = await ask(gateway, preview_fact(wanted), gateway.answer_wait_s)
        if isinstance(answer, BillPreviewRefused):
            raise Conflict(f"no bill could be issued: {answer.reason}")
        if not isinstance(answer, BillPreviewed):
            raise Unavailable("rating and invoicing did not answer in time; nothing was changed, ask again", {"Retry-After": "5"})
        return json_response(bill_preview(to_document(answer.bill), gateway.links))

    return routes
