"""POST, PATCH and DELETE of a stored resource: the same for accounts, products and the catalogue."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.contracts import Fact
from services.tmf_gateway.domain.body import JSON, MERGE_PATCH
from services.tmf_gateway.domain.refusal import Conflict, NotFound
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import json_response, now, read_object
from services.tmf_gateway.routes.reading import Complete, as_they_are

# So many others changing one resource within milliseconds is no ordinary day.
ATTEMPTS_MAX = 10

Stored = dict[str, Any]
Body = dict[str, Any]


def add_writing(
    routes: APIRouter,
    gateway: Gateway,
    resource: Resource,
    collection: str,
    *,
    opened: Callable[[Body], Awaitable[Stored]],
    patched: Callable[[Stored, Body], Awaitable[Stored]],
    facts_of: Callable[[Stored, Stored | None], Sequence[Fact]],
    add: Callable[[Stored, Sequence[Fact]], Awaitable[bool]],
    replace: Callable[[Stored, Stored, Sequence[Fact]], Awaitable[bool]],
    complete: Complete = as_they_are,
) -> None:
    """Take new resources and merge patches. `opened` and `patched` make the document to store, `add` and `replace` store it
    with its facts unless somebody was quicker, `complete` adds to the document of an answer what lies elsewhere."""
    path = f"{resource.base_path}/{resource.name}"

    @routes.post(path, name=f"open {resource.name}")
    async def post(request: Request) -> Response:
        body = await read_object(request, JSON)
        for _ in range(ATTEMPTS_MAX):
            document = await opened(body)
            facts = facts_of(document, None)
            if await add(document, facts):
                await gateway.outbox.send(collection, document, facts)
                shown = resource.render(document, gateway.links)
                return json_response(shown, 201, {"Location": shown["href"]})
        raise Conflict(f"what this {resource.name} refers to is being changed by others; ask again")

    @routes.patch(f"{path}/{{id}}", name=f"change {resource.name}")
    async def patch(request: Request) -> Response:
        """Read, decide, replace that very revision, publish; again when somebody was quicker."""
        wanted = await read_object(request, JSON, MERGE_PATCH)
        id = request.path_params["id"]
        for _ in range(ATTEMPTS_MAX):
            before = await gateway.store.find(collection, id)
            if before is None or "removed" in before:
                raise NotFound(f"{resource.name} {id} does not exist")
            after = await patched(before, wanted)
            if after["revision"] != before["revision"]:
                facts = facts_of(after, before)
                if not await replace(after, before, facts):
                    continue
                await gateway.outbox.send(collection, after, facts, gateway.outbox.left_behind(collection, before))
            await complete([after])
            return json_response(resource.render(after, gateway.links))
        raise Conflict(f"{resource.name} {id} is being changed by others; ask again")


def add_deleting(
    routes: APIRouter,
    gateway: Gateway,
    resource: Resource,
    collection: str,
    *,
    deletable: Callable[[Stored], Awaitable[None]],
    facts_of: Callable[[Stored], Sequence[Fact]],
) -> None:
    """Take DELETE. `deletable` refuses what must stay."""

    @routes.delete(f"{resource.base_path}/{resource.name}/{{id}}", name=f"delete {resource.name}")
    async def delete(request: Request) -> Response:
        id = request.path_params["id"]
        for _ in range(ATTEMPTS_MAX):
            before = await gateway.store.find(collection, id)
            if before is None or "removed" in before:
                raise NotFound(f"{resource.name} {id} does not exist")
            await deletable(before)
            after = {**before, "revision": before["revision"] + 1, "changed_at": now()}
            facts = facts_of(after)
            if await gateway.store.remove(collection, after, facts):
                await gateway.outbox.send(collection, after, facts, gateway.outbox.left_behind(collection, before))
                return Response(status_code=204)
        raise Conflict(f"{resource.name} {id} is being changed by others; ask again")
