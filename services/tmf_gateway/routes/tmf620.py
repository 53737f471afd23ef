"""TMF620 Product Catalog Management v4: offerings, their prices and specifications."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import APIRouter

from libs.contracts import Fact
from services.tmf_gateway.domain.changes import change_event, end_event
from services.tmf_gateway.domain.launching import new_offering, patched_offering, price_ids, replanned_offering, tariff_facts
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.domain.tax_categories import check_price_tax
from services.tmf_gateway.domain.tmf620 import (
    ACTIVE,
    IN_USE,
    PRODUCT_OFFERING,
    PRODUCT_OFFERING_PRICE,
    PRODUCT_SPECIFICATION,
    check_price_change,
    new_resource,
    patched_resource,
    refuse_shown,
)
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import now
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import add_deleting, add_writing
from services.tmf_gateway.store import PRESENT, PRODUCT_OFFERING_PRICES, PRODUCT_OFFERINGS, PRODUCT_SPECIFICATIONS, REFERRED

# With a price that is to be stored: the offerings whose books it changes, as they are and as they will be.
REPLANNED = "replanned"

Stored = dict[str, Any]
Body = dict[str, Any]


def tmf620_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list, PATCH and DELETE of productOffering, productOfferingPrice and productSpecification."""
    routes = APIRouter()
    _add_offerings(routes, gateway)
    _add_prices(routes, gateway)
    _add_specifications(routes, gateway)
    return routes


def _add_offerings(routes: APIRouter, gateway: Gateway) -> None:
    async def referred(resource: Body) -> dict[str, dict[str, Stored]]:
        """The prices and the specification that it refers to, by collection and id. Raises BadRequest."""
        specification = resource.get("productSpecification")
        id = specification.get("id") if isinstance(specification, dict) else None
        specifications = await gateway.store.present(PRODUCT_SPECIFICATIONS, [id] if isinstance(id, str) else [])
        if isinstance(id, str) and not specifications:
            raise BadRequest(f"productSpecification {id} does not exist")
        prices = await gateway.store.present(PRODUCT_OFFERING_PRICES, price_ids(resource))
        return {PRODUCT_SPECIFICATIONS: specifications, PRODUCT_OFFERING_PRICES: prices}

    async def opened(body: Body, id: str) -> Stored:
        found = await referred(body)
        return {**new_offering(body, id, found[PRODUCT_OFFERING_PRICES], now()), REFERRED: found}

    async def patched(before: Stored, patch: Body) -> Stored:
        found = await referred(merge(before["resource"], patch))
        return {**patched_offering(before, patch, found[PRODUCT_OFFERING_PRICES], now()), REFERRED: found}

    async def deletable(offering: Stored) -> None:
        refuse_shown(offering, "ProductOffering")
        if offering["resource"]["lifecycleStatus"] in IN_USE:
            raise Conflict(f"customers have this offering: it is {offering['resource']['lifecycleStatus']}, not Obsolete")

    store = gateway.store
    _add(
        routes,
        gateway,
        PRODUCT_OFFERING,
        PRODUCT_OFFERINGS,
        opened,
        patched,
        deletable,
        partial(_offering_facts, gateway),
        store.add_offering,
        store.replace_offering,
    )


def _add_prices(routes: APIRouter, gateway: Gateway) -> None:
    async def opened(body: Body, id: str) -> Stored:
        price = new_resource("ProductOfferingPrice", body, id, now(), state=ACTIVE)
        check_price_tax(gateway.tax_table, price["resource"])
        return price

    async def patched(before: Stored, patch: Body) -> Stored:
        at = now()
        after = patched_resource("ProductOfferingPrice", before, patch, at)
        if after["resource"].get("tax") != before["resource"].get("tax"):
            check_price_tax(gateway.tax_table, after["resource"])
        using = await gateway.store.offerings_with("productOfferingPrice", before["_id"])
        using = [offering for offering in using if offering["resource"]["lifecycleStatus"] in IN_USE]
        check_price_change(after, before, [offering["_id"] for offering in using], at)
        if after["resource"].get("validFor") == before["resource"].get("validFor"):
            return after
        return {**after, REPLANNED: [(offering, await replanned(offering, after, at)) for offering in using]}

    async def replanned(offering: Stored, price: Stored, at: datetime) -> Stored:
        prices = await gateway.store.present(PRODUCT_OFFERING_PRICES, price_ids(offering["resource"]))
        return replanned_offering(offering, {**prices, price["_id"]: price}, at)

    async def replace(price: Stored, facts: Sequence[Fact]) -> bool:
        """Store a price and the offerings whose books it changes, and tell of these."""
        offerings = [
            (new, old, _offering_facts(gateway, new, old)) for old, new in price.pop(REPLANNED, ()) if new["revision"] != old["revision"]
        ]
        if not await gateway.store.replace_price(price, facts, [(new, told) for new, _, told in offerings]):
            return False
        for new, old, told in offerings:
            await gateway.outbox.send(PRODUCT_OFFERINGS, new, told, gateway.outbox.left_behind(PRODUCT_OFFERINGS, old))
        return True

    async def deletable(price: Stored) -> None:
        refuse_shown(price, "ProductOfferingPrice")
        await _check_unused(gateway, "productOfferingPrice", price)

    _add(routes, gateway, PRODUCT_OFFERING_PRICE, PRODUCT_OFFERING_PRICES, opened, patched, deletable, replace=replace)


def _add_specifications(routes: APIRouter, gateway: Gateway) -> None:
    async def opened(body: Body, id: str) -> Stored:
        return new_resource("ProductSpecification", body, id, now(), state=ACTIVE)

    async def patched(before: Stored, patch: Body) -> Stored:
        return patched_resource("ProductSpecification", before, patch, now())

    async def deletable(specification: Stored) -> None:
        await _check_unused(gateway, "productSpecification", specification)

    _add(routes, gateway, PRODUCT_SPECIFICATION, PRODUCT_SPECIFICATIONS, opened, patched, deletable)


def _add(
    routes: APIRouter,
    gateway: Gateway,
    resource: Resource,
    collection: str,
    opened: Callable[[Body, str], Awaitable[Stored]],
    patched: Callable[[Stored, Body], Awaitable[Stored]],
    deletable: Callable[[Stored], Awaitable[None]],
    facts_of: Callable[[Stored, Stored | None], list[Fact]] | None = None,
    add: Callable[[Stored, Sequence[Fact]], Awaitable[bool]] | None = None,
    replace: Callable[[Stored, Sequence[Fact]], Awaitable[bool]] | None = None,
) -> None:
    def change_facts(after: Stored, before: Stored | None) -> list[Fact]:
        return [change_event(resource, after, before, gateway.links, state="lifecycleStatus")]

    def end_facts(removed: Stored) -> list[Fact]:
        return [end_event(resource, removed, gateway.links)]

    add_reading(routes, resource, gateway.database[collection], gateway.links, only=PRESENT)
    add_writing(
        routes,
        gateway,
        resource,
        collection,
        opened=opened,
        patched=patched,
        facts_of=facts_of or change_facts,
        add=add or partial(gateway.store.add, collection),
        replace=lambda after, _, facts: (replace or partial(gateway.store.replace, collection))(after, facts),
    )
    add_deleting(routes, gateway, resource, collection, deletable=deletable, facts_of=end_facts)


def _offering_facts(gateway: Gateway, after: Stored, before: Stored | None) -> list[Fact]:
    return [change_event(PRODUCT_OFFERING, after, before, gateway.links, state="lifecycleStatus"), *tariff_facts(after, before)]


async def _check_unused(gateway: Gateway, name: str, stored: Stored) -> None:
    using = await gateway.store.offerings_with(name, stored["_id"])
    if using:
        raise Conflict(f"productOffering {using[0]['_id']} refers to it: take it out there first")
