"""POST, GET and DELETE of hub subscriptions, alike in every API."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from services.tmf_gateway.callback_hosts import check_callback
from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.refusal import NotFound
from services.tmf_gateway.domain.schema import Schema
from services.tmf_gateway.domain.subscription import event_subscription, new_subscription, subscription_fact, subscription_resource
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, now, read_object
from services.tmf_gateway.idempotency import Creation
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.store import PRESENT, SUBSCRIPTIONS


def hub_routes(gateway: Gateway, api: str, base_path: str, schema: Schema) -> APIRouter:
    """The hub of one API, such as TMF678. TM Forum's has no GET: without one nobody can tell what is subscribed."""
    routes = APIRouter()
    only = {"api": api, **PRESENT}
    add_reading(routes, subscription_resource(api, base_path, schema), gateway.database[SUBSCRIPTIONS], gateway.links, only=only)

    @routes.post(f"{base_path}/hub")
    async def subscribe(request: Request) -> Response:
        body = await read_object(request, JSON)
        return await gateway.idempotency.once(request, body, SUBSCRIPTIONS, partial(create, body), subscribed, now())

    async def create(body: dict[str, Any], creation: Creation) -> Response:
        subscription = {**new_subscription(body, api, creation.id, now()), **creation.mark}
        await check_callback(subscription["callback"], gateway.callback_networks)
        facts = [subscription_fact(subscription)]
        await gateway.store.add_subscription(subscription, facts)
        await gateway.outbox.send(SUBSCRIPTIONS, subscription, facts)
        return subscribed(subscription)

    def subscribed(subscription: dict[str, Any]) -> Response:
        href = gateway.links.to(base_path, "hub", subscription["_id"])
        return json_response(event_subscription(subscription), 201, {"Location": href})

    @routes.delete(f"{base_path}/hub/{{id}}")
    async def unsubscribe(request: Request) -> Response:
        subscription = await gateway.store.find(SUBSCRIPTIONS, request.path_params["id"])
        if subscription is None or subscription["api"] != api or "removed" in subscription:
            raise NotFound(f"hub subscription {request.path_params['id']} does not exist")
        ended = {**subscription, "revision": subscription["revision"] + 1, "changed_at": now()}
        facts = [subscription_fact(ended, removed=True)]
        await gateway.idempotency.spend(ended["_id"], ended["changed_at"])
        if not await gateway.store.end_subscription(ended, facts):
            raise NotFound(f"hub subscription {ended['_id']} does not exist")
        await gateway.outbox.send(SUBSCRIPTIONS, ended, facts)
        return Response(status_code=204)

    return routes
