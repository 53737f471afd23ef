"""TMF635 Usage Management v4, read only: a customer's usage, rated and in suspense."""

from typing import Any

from fastapi import APIRouter, Request, Response

from services.tmf_gateway.domain.links import TMF635
from services.tmf_gateway.domain.query import Query, parse_query
from services.tmf_gateway.domain.refusal import BadRequest, NotFound
from services.tmf_gateway.domain.selection import select_fields
from services.tmf_gateway.domain.tmf635 import (
    SUSPENDED_USAGE,
    USAGE,
    USAGE_OF_AN_ACCOUNT,
    account_asked_for,
    of_suspense,
    rated_usage,
    suspended_usage,
    waiting_under,
    wants_rejected,
)
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, query_string
from services.tmf_gateway.routes.reading import read_response
from services.tmf_gateway.sources import read_page
from services.tmf_gateway.store import PRODUCTS
from services.tmf_gateway.usages import RATED, WAITING, Usages

PATH = f"{TMF635}/usage"


def tmf635_routes(gateway: Gateway, usages: Usages) -> APIRouter:
    """GET of usage, list and one by one."""
    routes = APIRouter()
    links = gateway.links

    @routes.api_route(PATH, methods=["GET", "HEAD"], name="list usage")
    async def read_list(request: Request) -> Response:
        text = query_string(request)
        query = parse_query(text)
        if wants_rejected(query):
            documents, page = await read_page(
                usages.suspended, SUSPENDED_USAGE, of_suspense(query), links, await _waiting_of(gateway, query)
            )
            shown = [suspended_usage(document, links) for document in documents]
        else:
            resource = USAGE if account_asked_for(query) is None else USAGE_OF_AN_ACCOUNT
            documents, page = await read_page(usages.rated, resource, query, links, RATED)
            await usages.complete(documents)
            shown = [rated_usage(document, links) for document in documents]
        headers = page.headers(f"{links.base_url}{PATH}", text)
        return json_response([select_fields(usage, query.fields) for usage in shown], page.status, headers)

    # The id of a usage may hold anything, slashes too.
    @routes.api_route(f"{PATH}/{{id:path}}", methods=["GET", "HEAD"], name="read usage")
    async def read_one(request: Request) -> Response:
        id = request.path_params["id"]
        usage, entry = await usages.find(id)
        if usage is not None:
            await usages.complete([usage])
            shown = rated_usage(usage, links)
        elif entry is not None:
            shown = suspended_usage(entry, links)
        else:
            raise NotFound(f"usage {id} does not exist")
        return read_response(request, shown)

    return routes


async def _waiting_of(gateway: Gateway, query: Query) -> dict[str, Any]:
    """The condition on suspense for the usage of one account's identifiers, or for all. Raises BadRequest."""
    account = account_asked_for(query)
    if account is None:
        if any(filter_.path.startswith("billingAccount") for filter_ in query.filters):
            raise BadRequest("rejected usage can be filtered by one billingAccount.id with = only")
        return WAITING
    products = gateway.database[PRODUCTS].find({"account_id": account}, {"identifiers": 1})
    held = [identifier async for product in products for identifier in product["identifiers"]]
    # Of an account without identifiers nothing waits; MongoDB knows no empty $or.
    return {**WAITING, "$or": [waiting_under(identifier) for identifier in held] or [{"_id": None}]}
