"""TMF666 Account Management v4: billing accounts."""

import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.contracts import Fact
from services.tmf_gateway.domain.body import JSON, MERGE_PATCH
from services.tmf_gateway.domain.changes import change_event
from services.tmf_gateway.domain.links import TMF666
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT, account_balances, account_fact, new_account, patched_account
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, now, read_object
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import store_change
from services.tmf_gateway.store import ACCOUNTS


def tmf666_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list and PATCH of billingAccount."""
    routes = APIRouter()

    async def add_balances(accounts: Sequence[dict[str, Any]]) -> None:
        balances = await gateway.sources.balances([account["_id"] for account in accounts])
        for account in accounts:
            account["balances"] = account_balances(account, balances.get(account["_id"], {}))

    def facts_of(account: dict[str, Any], before: dict[str, Any] | None) -> list[Fact]:
        return [account_fact(account), change_event(BILLING_ACCOUNT, account, before, gateway.links, state="state")]

    add_reading(routes, BILLING_ACCOUNT, gateway.database[ACCOUNTS], gateway.links, add_balances)

    @routes.post(f"{TMF666}/billingAccount")
    async def open_account(request: Request) -> Response:
        body = await read_object(request, JSON)
        account = new_account(body, uuid.uuid4().hex, gateway.defaults, now())
        facts = facts_of(account, None)
        await gateway.store.add(ACCOUNTS, account, facts)
        await gateway.outbox.send(ACCOUNTS, account, facts)
        shown = BILLING_ACCOUNT.render(account, gateway.links)
        return json_response(shown, 201, {"Location": shown["href"]})

    @routes.patch(f"{TMF666}/billingAccount/{{id}}")
    async def patch_account(request: Request) -> Response:
        patch = await read_object(request, JSON, MERGE_PATCH)
        account = await store_change(
            gateway,
            ACCOUNTS,
            BILLING_ACCOUNT,
            request.path_params["id"],
            change=lambda before: patched_account(before, patch, now()),
            facts_of=facts_of,
            replace=lambda after, _, facts: gateway.store.replace(ACCOUNTS, after, facts),
        )
        await add_balances([account])
        return json_response(BILLING_ACCOUNT.render(account, gateway.links))

    return routes
