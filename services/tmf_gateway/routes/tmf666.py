"""TMF666 Account Management v4: billing accounts."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter

from libs.contracts import Fact
from services.tmf_gateway.domain.changes import change_event, end_event
from services.tmf_gateway.domain.refusal import Conflict
from services.tmf_gateway.domain.tmf666 import (
    BILLING_ACCOUNT,
    account_balances,
    account_fact,
    check_taxable,
    new_account,
    patched_account,
    withdrawn,
)
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import now
from services.tmf_gateway.routes.reading import add_reading
from services.tmf_gateway.routes.writing import add_deleting, add_writing
from services.tmf_gateway.store import ACCOUNTS, REMOVED


def tmf666_routes(gateway: Gateway) -> APIRouter:
    """POST, GET, list, PATCH and DELETE of billingAccount."""
    routes = APIRouter()

    async def opened(body: dict[str, Any], id: str) -> dict[str, Any]:
        account = new_account(body, id, gateway.defaults, now())
        check_taxable(account, None, gateway.tax_table)
        return account

    async def patched(before: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
        account = patched_account(before, patch, now())
        check_taxable(account, before, gateway.tax_table)
        return account

    def facts_of(account: dict[str, Any], before: dict[str, Any] | None) -> list[Fact]:
        return [account_fact(account), change_event(BILLING_ACCOUNT, account, before, gateway.links, state="state")]

    async def add_balances(accounts: Sequence[dict[str, Any]]) -> None:
        balances = await gateway.sources.balances([account["_id"] for account in accounts])
        for account in accounts:
            account["balances"] = account_balances(account, balances.get(account["_id"], {}))

    async def deletable(account: dict[str, Any]) -> None:
        id = account["_id"]
        if await gateway.store.is_account_in_use(id) or await gateway.sources.is_account_billed(id):
            raise Conflict("a billingAccount with products, charges, bills or entries is not deleted: close it by its state, closed")

    def end_facts(removed: dict[str, Any]) -> list[Fact]:
        return [account_fact(withdrawn(removed)), end_event(BILLING_ACCOUNT, removed, gateway.links)]

    add_reading(routes, BILLING_ACCOUNT, gateway.database[ACCOUNTS], gateway.links, add_balances)
    add_writing(
        routes,
        gateway,
        BILLING_ACCOUNT,
        ACCOUNTS,
        opened=opened,
        patched=patched,
        facts_of=facts_of,
        add=partial(gateway.store.add, ACCOUNTS),
        replace=lambda after, _, facts: gateway.store.replace(ACCOUNTS, after, facts),
        complete=add_balances,
    )
    add_deleting(
        routes,
        gateway,
        BILLING_ACCOUNT,
        ACCOUNTS,
        deletable=deletable,
        facts_of=end_facts,
        remove=gateway.store.remove_account,
        removed_to=REMOVED,
        complete=add_balances,
    )
    return routes
