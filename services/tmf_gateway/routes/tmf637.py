"""TMF637 Product Inventory v4: products."""

from typing import Any

from fastapi import APIRouter

from libs.contracts import Fact
from services.tmf_gateway.domain.changes import change_event
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf637 import PRODUCT, account_of, new_product, patched_product, product_fact
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import now
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import add_writing
from services.tmf_gateway.store import ACCOUNTS, PRODUCTS


def tmf637_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list and PATCH of product."""
    routes = APIRouter()

    async def opened(body: dict[str, Any], id: str) -> dict[str, Any]:
        account = await gateway.store.find(ACCOUNTS, account_of(body))
        if account is None:
            raise BadRequest(f"billingAccount {account_of(body)} does not exist")
        return new_product(body, id, account, now())

    async def patched(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        return patched_product(before, patch, now())

    def facts_of(product: dict[str, Any], before: dict[str, Any] | None) -> list[Fact]:
        return [product_fact(product), change_event(PRODUCT, product, before, gateway.links, state="status")]

    add_reading(routes, PRODUCT, gateway.database[PRODUCTS], gateway.links)
    add_writing(
        routes,
        gateway,
        PRODUCT,
        PRODUCTS,
        opened=opened,
        patched=patched,
        facts_of=facts_of,
        add=gateway.store.add_product,
        replace=gateway.store.replace_product,
    )
    return routes
