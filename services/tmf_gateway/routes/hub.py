"""POST and DELETE of hub subscriptions, alike in every API."""

import uuid

from fastapi import APIRouter, Request, Response

from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.refusal import NotFound
from services.tmf_gateway.domain.subscription import event_subscription, new_subscription, subscription_fact
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, now, read_object
from services.tmf_gateway.store import SUBSCRIPTIONS


def hub_routes(gateway: Gateway, api: str, base_path: str) -> APIRouter:
    """The hub of one API, such as TMF678."""
    routes = APIRouter()

    @routes.post(f"{base_path}/hub")
    async def subscribe(request: Request) -> Response:
        body = await read_object(request, JSON)
        subscription = new_subscription(body, api, uuid.uuid4().hex, now())
        facts = [subscription_fact(subscription)]
        await gateway.store.add_subscription(subscription, facts)
        await gateway.outbox.send(SUBSCRIPTIONS, subscription, facts)
        href = gateway.links.to(base_path, "hub", subscription["_id"])
        return json_response(event_subscription(subscription), 201, {"Location": href})

    @routes.delete(f"{base_path}/hub/{{id}}")
    async def unsubscribe(request: Request) -> Response:
        subscription = await gateway.store.find(SUBSCRIPTIONS, request.path_params["id"])
        if subscription is None or subscription["api"] != api or "removed" in subscription:
            raise NotFound(f"hub subscription {request.path_params['id']} does not exist")
        ended = {**subscription, "revision": subscription["revision"] + 1, "changed_at": now()}
        facts = [subscription_fact(ended, removed=True)]
        if not await gateway.store.end_subscription(ended, facts):
            raise NotFound(f"hub subscription {ended['_id']} does not exist")
        await gateway.outbox.send(SUBSCRIPTIONS, ended, facts)
        return Response(status_code=204)

    return routes
