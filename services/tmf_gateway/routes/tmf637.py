"""TMF637 Product Inventory v4: products."""

from typing import Any

from fastapi import APIRouter

from libs.contracts import Fact
from services.tmf_gateway.domain.changes import change_event, end_event
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf620 import IN_USE
from services.tmf_gateway.domain.tmf637 import (
    PRODUCT,
    account_of,
    check_deletable,
    new_product,
    offering_of,
    patched_product,
    product_fact,
    withdrawn,
)
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import now
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import add_deleting, add_writing
from services.tmf_gateway.store import ACCOUNTS, PRODUCT_OFFERINGS, PRODUCTS, REMOVED

# A list of more is not read: GET productOffering has them all.
OFFERINGS_NAMED_MAX = 20


def tmf637_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list, PATCH and DELETE of product."""
    routes = APIRouter()

    async def opened(body: dict[str, Any], id: str) -> dict[str, Any]:
        account = await gateway.store.find(ACCOUNTS, account_of(body))
        if account is None:
            raise BadRequest(f"billingAccount {account_of(body)} does not exist")
        product = new_product(body, id, account, now())
        await check_offering(gateway, product)
        return product

    async def patched(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        product = patched_product(before, patch, now())
        if offering_of(product) != offering_of(before):
            await check_offering(gateway, product)
        return product

    def facts_of(product: dict[str, Any], before: dict[str, Any] | None) -> list[Fact]:
        return [product_fact(product), change_event(PRODUCT, product, before, gateway.links, state="status")]

    async def deletable(product: dict[str, Any]) -> None:
        check_deletable(product, await gateway.sources.has_charges(product_id=product["_id"]), now())

    def end_facts(removed: dict[str, Any]) -> list[Fact]:
        return [product_fact(withdrawn(removed)), end_event(PRODUCT, removed, gateway.links)]

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
        sent=gateway.rating_copies.wait_for,
    )
    add_deleting(
        routes,
        gateway,
        PRODUCT,
        PRODUCTS,
        deletable=deletable,
        facts_of=end_facts,
        remove=gateway.store.remove_product,
        removed_to=REMOVED,
    )
    return routes


async def check_offering(gateway: Gateway, product: dict[str, Any]) -> None:
    """Raise BadRequest for an offering that nobody could price: one of no rate book, and not launched in the catalogue."""
    id = offering_of(product)
    if await gateway.sources.has_offering(id):
        return
    catalogued = (await gateway.store.present(PRODUCT_OFFERINGS, [id])).get(id)
    if catalogued is None:
        known = await gateway.sources.offering_ids()
        more = ", …" if len(known) > OFFERINGS_NAMED_MAX else ""
        named = ", ".join(known[:OFFERINGS_NAMED_MAX]) + more or "none yet: publish a rate book, or launch a productOffering"
        raise BadRequest(f"productOffering {id} does not exist; there are {named}")
    if catalogued["resource"]["lifecycleStatus"] not in IN_USE:
        state = catalogued["resource"]["lifecycleStatus"]
        raise BadRequest(f"productOffering {id} is {state}: a product can have it once it is launched")
