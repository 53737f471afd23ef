"""Liveness, readiness and metrics: the three routes that every service serves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Report = Callable[[], Awaitable[dict[str, str]]]


def health_routes(service: str, down: Report, warnings: Report) -> APIRouter:
    """Serve liveness, readiness and metrics.

    `down()` names each thing that keeps the service from working, with its reason. It is empty when the service is ready.
    `warnings()` names each thing that a person should look at while the service works.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/health/live")
    async def live() -> dict[str, str]:
        return {"service": service, "status": "live"}

    @routes.get("/health/ready")
    async def ready() -> JSONResponse:
        faults, told = await asyncio.gather(down(), warnings())
        body: dict[str, Any] = {"service": service, "status": "not ready" if faults else "ready"}
        if faults:
            body["down"] = faults
        if told:
            body["warnings"] = told
        return JSONResponse(body, status_code=503 if faults else 200)

    @routes.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return routes
