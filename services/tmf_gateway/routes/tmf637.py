"""TMF637 Product Inventory v4: products."""

import uuid
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.contracts import Fact
from services.tmf_gateway.domain.body import JSON, MERGE_PATCH
from services.tmf_gateway.domain.changes import change_event
from services.tmf_gateway.domain.links import TMF637
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf637 import PRODUCT, account_of, new_product, patched_product, product_fact
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, now, read_object
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import store_change
from services.tmf_gateway.store import ACCOUNTS, PRODUCTS


def tmf637_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list and PATCH of product."""
    routes = APIRouter()

    def facts_of(product: dict[str, Any], before: dict[str, Any] | None) -> list[Fact]:
        return [product_fact(product), change_event(PRODUCT, product, before, gateway.links, state="status")]

    add_reading(routes, PRODUCT, gateway.database[PRODUCTS], gateway.links)

    @routes.post(f"{TMF637}/product")
    async def open_product(request: Request) -> Response:
        body = await read_object(request, JSON)
        account = await gateway.store.find(ACCOUNTS, account_of(body))
        if account is None:
            raise BadRequest(f"billingAccount {account_of(body)} does not exist")
        product = new_product(body, uuid.uuid4().hex, account, now())
        facts = facts_of(product, None)
        await gateway.store.add_product(product, facts)
        await gateway.outbox.send(PRODUCTS, product, facts)
        shown = PRODUCT.render(product, gateway.links)
        return json_response(shown, 201, {"Location": shown["href"]})

    @routes.patch(f"{TMF637}/product/{{id}}")
    async def patch_product(request: Request) -> Response:
        patch = await read_object(request, JSON, MERGE_PATCH)
        product = await store_change(
            gateway,
            PRODUCTS,
            PRODUCT,
            request.path_params["id"],
            change=lambda before: patched_product(before, patch, now()),
            facts_of=facts_of,
            replace=gateway.store.replace_product,
        )
        return json_response(PRODUCT.render(product, gateway.links))

    return routes
