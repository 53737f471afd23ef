"""Liveness, readiness and metrics: the three routes that every service serves."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

DownReport = Callable[[], Awaitable[dict[str, str]]]


def health_routes(service: str, down: DownReport) -> APIRouter:
    """`down()` names each thing that keeps the service from working, with its reason; empty when ready."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health/live")
    async def live() -> dict[str, str]:
        return {"service": service, "status": "live"}

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        faults = await down()
        body: dict[str, Any] = {"service": service, "status": "not ready" if faults else "ready"}
        if faults:
            body["down"] = faults
        return JSONResponse(body, status_code=503 if faults else 200)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
