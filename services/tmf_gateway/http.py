"""HTTP as TM Forum wants it: JSON bodies, refusals in TM Forum's error body whoever raised them, and CORS."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import iter_route_contexts
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from libs.exact_json import write_json
from libs.periods import to_utc_milliseconds
from services.tmf_gateway.checked_host import CheckedHost
from services.tmf_gateway.domain.accept import check_accept
from services.tmf_gateway.domain.allowed_hosts import AllowedHosts
from services.tmf_gateway.domain.body import (
    BODY_BYTES_MAX,
    JSON,
    JSON_PATCH,
    MERGE_PATCH,
    check_media_type,
    media_type,
    parse_list,
    parse_object,
)
from services.tmf_gateway.domain.json_patch import apply_json_patch
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.preconditions import etag_of
from services.tmf_gateway.domain.refusal import BadRequest, Refusal, TooLarge, error_body
from services.tmf_gateway.domain.resource import Resource

EXPOSED_HEADERS = ("X-Total-Count", "X-Result-Count", "Content-Range", "Link", "Location", "ETag")
JSON_TEXT = "application/json;charset=utf-8"
_REASONS = {404: "Resource not found", 405: "Method not allowed"}

logger = structlog.get_logger(__name__)


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A body of exact JSON."""
    return Response(write_json(body), status, headers, JSON_TEXT)


def error_response(status: int, reason: str, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """TMF's Error."""
    return json_response(error_body(status, reason, message), status, headers)


def created_response(representation: Mapping[str, Any]) -> Response:
    """The answer to a POST that created a resource."""
    answer = resource_response(write_json(representation), 201)
    answer.headers["Location"] = representation["href"]
    return answer


def resource_response(body: bytes, status: int = 200) -> Response:
    """A whole resource with its ETag."""
    return Response(body, status, {"ETag": etag_of(body)}, JSON_TEXT)


async def resource_body(
    resource: Resource,
    document: Mapping[str, Any],
    links: Links,
    complete: Callable[[Sequence[dict[str, Any]]], Awaitable[None]],
) -> bytes:
    """Return a resource as it is sent, with what `complete` adds to its document. The document itself stays as it is."""
    completed = dict(document)
    await complete([completed])
    return write_json(resource.render(completed, links))


async def read_object(request: Request, *media_types: str) -> dict[str, Any]:
    """The JSON object in the body. Raises UnsupportedMedia, TooLarge or BadRequest."""
    check_media_type(request.headers.get("content-type"), *media_types)
    return parse_object(await _read_body(request))


async def read_patch(request: Request) -> Callable[[dict[str, Any]], Any]:
    """Return the change that a patch in the body makes of a resource, as a client reads it: a merge patch, or a JSON Patch.
    Raises UnsupportedMedia, TooLarge or BadRequest."""
    content_type = request.headers.get("content-type")
    check_media_type(content_type, JSON, MERGE_PATCH, JSON_PATCH)
    body = await _read_body(request)
    if media_type(content_type) == JSON_PATCH:
        operations = parse_list(body)
        return lambda shown: apply_json_patch(shown, operations)
    patch = parse_object(body)
    return lambda shown: merge(shown, patch)


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes")
    return bytes(body)


def now() -> datetime:
    """The time of a request, as MongoDB keeps it."""
    return to_utc_milliseconds(datetime.now(UTC))


def query_string(request: Request) -> str:
    """The query as it was sent, still encoded."""
    return request.scope["query_string"].decode("latin-1")


def accepts_json(request: Request) -> None:
    """Raises NotAcceptable for a client that takes no JSON; for a dependency of routes."""
    check_accept(request.headers.get("accept"))


def new_app(cors_origins: Sequence[str], hosts: AllowedHosts) -> FastAPI:
    """An app without routes that answers every error in TM Forum's words. Browsers may call it from `cors_origins` only."""
    app = FastAPI(title="Tarifa TMF gateway", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    if cors_origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=cors_origins, allow_methods=["*"], allow_headers=["*"], expose_headers=list(EXPOSED_HEADERS)
        )
    app.add_middleware(CheckedHost, hosts=hosts, refuse=_refuse_host)

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

    @app.exception_handler(ClientDisconnect)
    async def client_left(_: Request, error: ClientDisconnect) -> Response:
        # Nobody reads it.
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return error_response(500, "Internal error", "the gateway failed; the error is in its log")

    return app


def _refuse_host(host: str) -> Response:
    return error_response(400, BadRequest.reason, f"this gateway is not {host[:200]!r}: GATEWAY_ALLOWED_HOSTS names its hosts")


def _allowed_methods(app: FastAPI, request: Request) -> list[str]:
    methods = {"OPTIONS"}
    for route in iter_route_contexts(app.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= route.methods or set()
    return sorted(methods)
