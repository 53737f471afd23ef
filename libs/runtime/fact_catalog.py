"""The AsyncAPI document that every service serves: all facts, and which of them this service receives."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter

from libs.contracts import Fact
from libs.contracts.asyncapi import Operation, asyncapi_document


def fact_catalog_routes(service: str, received: Iterable[type[Fact]]) -> APIRouter:
    """`received` is read at each request: subscriptions may still be added."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        operations = (Operation(service, "receive", fact.topic) for fact in received)
        return asyncapi_document(operations, f"All facts on Kafka; the operations are what {service} receives.")

    return routes
