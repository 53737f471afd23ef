"""HTTP as TM Forum wants it: JSON bodies, refusals in TM Forum's error body whoever raised them, and CORS."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import iter_route_contexts
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from libs.exact_json import write_json
from libs.periods import to_utc_milliseconds
from services.tmf_gateway.domain.body import BODY_BYTES_MAX, check_media_type, parse_object
from services.tmf_gateway.domain.refusal import BadRequest, Refusal, error_body

EXPOSED_HEADERS = ("X-Total-Count", "X-Result-Count", "Content-Range", "Link", "Location")
_REASONS = {404: "Resource not found", 405: "Method not allowed"}

logger = structlog.get_logger(__name__)


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A body of exact JSON."""
    return Response(write_json(body), status, headers, "application/json;charset=utf-8")


def error_response(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """TMF's Error."""
    return json_response(error_body(status, reason, message), status, headers)


async def read_object(request: Request, *media_types: str) -> dict[str, Any]:
    """The JSON object in the body. Raises UnsupportedMedia or BadRequest."""
    check_media_type(request.headers.get("content-type"), *media_types)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise BadRequest(f"the body is larger than {BODY_BYTES_MAX} bytes")
    return parse_object(bytes(body))


def now() -> datetime:
    """The time of a request, as MongoDB keeps it."""
    return to_utc_milliseconds(datetime.now(UTC))


def query_string(request: Request) -> str:
    """The query as it was sent, still encoded."""
    return request.scope["query_string"].decode("latin-1")


def new_app(cors_origins: list[str]) -> FastAPI:
    """An app without routes that answers every error in TM Forum's words."""
    app = FastAPI(title="Tarifa TMF gateway", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(
        CORSMiddleware, allow_origins=cors_origins, allow_methods=["*"], allow_headers=["*"], expose_headers=list(EXPOSED_HEADERS)
    )

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> Response:
        return error_response(refusal.status, refusal.reason, refusal.message, refusal.headers)

    @app.exception_handler(HTTPException)
    async def refuse_route(request: Request, error: HTTPException) -> Response:
        if error.status_code != 405:
            reason = _REASONS.get(error.status_code, error.detail)
            return error_response(error.status_code, reason, f"{request.method} {request.url.path}: {error.detail}", error.headers)
        allow = {"Allow": ", ".join(_allowed_methods(app, request))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        return error_response(405, _REASONS[405], f"{request.url.path} allows {allow['Allow']}, not {request.method}", allow)

    @app.exception_handler(RequestValidationError)
    async def refuse_parameters(_: Request, error: RequestValidationError) -> Response:
        return error_response(400, BadRequest.reason, str(error.errors()))

    @app.exception_handler(PyMongoError)
    async def database_away(_: Request, error: PyMongoError) -> Response:
        logger.error("database failed", exc_info=error)
        return error_response(503, "Service unavailable", "the database does not answer; ask again", {"Retry-After": "5"})

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return error_response(500, "Internal error", "the gateway failed; the error is in its log")

    return app


def _allowed_methods(app: FastAPI, request: Request) -> list[str]:
    methods = {"OPTIONS"}
    for route in iter_route_contexts(app.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)
