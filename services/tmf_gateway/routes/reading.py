"""GET of a collection and of one resource: the same for every resource of every API."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response
from pymongo.asynchronous.collection import AsyncCollection

from libs.exact_json import write_json
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.preconditions import etag_of, is_known
from services.tmf_gateway.domain.query import parse_query, selected_fields
from services.tmf_gateway.domain.refusal import NotFound
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.domain.selection import select_fields
from services.tmf_gateway.http import json_response, query_string
from services.tmf_gateway.sources import read_page

Complete = Callable[[Sequence[dict[str, Any]]], Awaitable[None]]


async def as_they_are(documents: Sequence[dict[str, Any]]) -> None:
    """Nothing lies elsewhere."""


def add_reading(
    routes: APIRouter,
    resource: Resource,
    collection: AsyncCollection,
    links: Links,
    complete: Complete = as_they_are,
    only: dict[str, Any] | None = None,
) -> None:
    """Serve a resource from a collection; `complete` adds to the documents what lies elsewhere, `only` narrows what there is."""
    path = f"{resource.base_path}/{resource.name}"

    @routes.api_route(path, methods=["GET", "HEAD"], name=f"list {resource.name}")
    async def read_list(request: Request) -> Response:
        text = query_string(request)
        query = parse_query(text)
        documents, page = await read_page(collection, resource, query, links, only)
        headers = page.headers(f"{links.base_url}{path}", text)
        await complete(documents)
        shown = [select_fields(resource.render(document, links), query.fields) for document in documents]
        return json_response(shown, page.status, headers)

    @routes.api_route(f"{path}/{{id}}", methods=["GET", "HEAD"], name=f"read {resource.name}")
    async def read_one(request: Request) -> Response:
        document = await find(collection, resource, request.path_params["id"], only)
        await complete([document])
        return read_response(request, resource.render(document, links))


def read_response(request: Request, representation: dict[str, Any]) -> Response:
    """Return one resource with its ETag; 304 when the client has it already."""
    etag = etag_of(write_json(representation))
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers={"ETag": etag})
    return json_response(select_fields(representation, selected_fields(query_string(request))), headers={"ETag": etag})


async def find(collection: AsyncCollection, resource: Resource, id: str, only: dict[str, Any] | None = None) -> dict[str, Any]:
    """A document by its id. Raises NotFound."""
    document = await collection.find_one({"_id": id, **(only or {})}, dict.fromkeys(resource.unread, False) or None)
    if document is None:
        raise NotFound(f"{resource.name} {id} does not exist")
    return document
