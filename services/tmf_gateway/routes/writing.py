"""POST, PATCH and DELETE of a stored resource: the same for accounts, products and the catalogue."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.contracts import Fact
from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.patching import as_merge_patch, as_read, wanted_changes
from services.tmf_gateway.domain.preconditions import check_if_match, etag_of
from services.tmf_gateway.domain.refusal import Conflict, NotFound
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.gateway import Gateway
from services.tmf_gateway.http import created_response, now, read_object, read_patch, resource_body, resource_response
from services.tmf_gateway.idempotency import Creation
from services.tmf_gateway.routes.reading import Complete, as_they_are

# So many others changing one resource within milliseconds is no ordinary day.
ATTEMPTS_MAX = 10

Stored = dict[str, Any]
Body = dict[str, Any]


async def go_on(document: Stored) -> None:
    """Wait for nobody."""


def add_writing(
    routes: APIRouter,
    gateway: Gateway,
    resource: Resource,
    collection: str,
    *,
    opened: Callable[[Body, str], Awaitable[Stored]],
    patched: Callable[[Stored, Body], Awaitable[Stored]],
    facts_of: Callable[[Stored, Stored | None], Sequence[Fact]],
    add: Callable[[Stored, Sequence[Fact]], Awaitable[bool]],
    replace: Callable[[Stored, Stored, Sequence[Fact]], Awaitable[bool]],
    complete: Complete = as_they_are,
    sent: Callable[[Stored], Awaitable[None]] = go_on,
) -> None:
    """Take new resources, merge patches and JSON patches. `opened` makes the document of a body under an id, `patched` that of a
    merge patch; `add` and `replace` store it with its facts unless somebody was quicker; `complete` adds to the document of an
    answer what lies elsewhere; `sent` may wait for others before the answer."""
    path = f"{resource.base_path}/{resource.name}"

    @routes.post(path, name=f"open {resource.name}")
    async def post(request: Request) -> Response:
        body = await read_object(request, JSON)
        resource.schema.check_types(resource.definition, body)
        return await gateway.idempotency.once(request, body, collection, partial(create, body), repeated, now())

    async def create(body: Body, creation: Creation) -> Response:
        for _ in range(ATTEMPTS_MAX):
            document = {**await opened(body, creation.id), **creation.mark}
            facts = facts_of(document, None)
            if await add(document, facts):
                await gateway.outbox.send(collection, document, facts)
                await sent(document)
                return repeated(document)
        raise Conflict(f"what this {resource.name} refers to is being changed by others; ask again")

    def repeated(document: Stored) -> Response:
        return created_response(resource.render(document, gateway.links))

    @routes.patch(f"{path}/{{id}}", name=f"change {resource.name}")
    async def patch(request: Request) -> Response:
        """Read, decide, replace that very revision, publish; again when somebody was quicker."""
        change = await read_patch(request)
        id = request.path_params["id"]
        for _ in range(ATTEMPTS_MAX):
            before = await present(gateway, resource, collection, id)
            shown = await resource_body(resource, before, gateway.links, complete)
            check_if_match(request.headers.get("if-match"), etag_of(shown))
            wanted = merge_patch_of(before, as_read(shown), change)
            after = await patched(before, wanted) if wanted else before
            if after["revision"] != before["revision"]:
                facts = facts_of(after, before)
                if not await replace(after, before, facts):
                    continue
                await gateway.outbox.send(collection, after, facts, gateway.outbox.left_behind(collection, before))
                await sent(after)
            return resource_response(await resource_body(resource, after, gateway.links, complete))
        raise Conflict(f"{resource.name} {id} is being changed by others; ask again")

    def merge_patch_of(before: Stored, shown: Body, change: Callable[[Body], Any]) -> Body:
        changes = wanted_changes(shown, change, resource.read_only)
        resource.schema.check_types(resource.definition, changes)
        return as_merge_patch(before["resource"], shown, changes)


def add_deleting(
    routes: APIRouter,
    gateway: Gateway,
    resource: Resource,
    collection: str,
    *,
    deletable: Callable[[Stored], Awaitable[None]],
    facts_of: Callable[[Stored], Sequence[Fact]],
    remove: Callable[[Stored, Sequence[Fact]], Awaitable[bool]] | None = None,
    removed_to: str | None = None,
    complete: Complete = as_they_are,
) -> None:
    """Take DELETE. `deletable` refuses what must stay; `remove` marks the document as removed unless somebody was quicker, or moves
    it to the collection `removed_to`."""
    removing = remove or partial(gateway.store.remove, collection)

    @routes.delete(f"{resource.base_path}/{resource.name}/{{id}}", name=f"delete {resource.name}")
    async def delete(request: Request) -> Response:
        id = request.path_params["id"]
        for _ in range(ATTEMPTS_MAX):
            before = await present(gateway, resource, collection, id)
            if "if-match" in request.headers:
                shown = await resource_body(resource, before, gateway.links, complete)
                check_if_match(request.headers["if-match"], etag_of(shown))
            await deletable(before)
            after = {**before, "revision": before["revision"] + 1, "changed_at": now()}
            facts = facts_of(after)
            await gateway.idempotency.spend(id, after["changed_at"])
            if await removing(after, facts):
                await gateway.outbox.send(removed_to or collection, after, facts, gateway.outbox.left_behind(collection, before))
                return Response(status_code=204)
        raise Conflict(f"{resource.name} {id} is being changed by others; ask again")


async def present(gateway: Gateway, resource: Resource, collection: str, id: str) -> Stored:
    """Return a document that is there and not removed. Raises NotFound."""
    document = await gateway.store.find(collection, id)
    if document is None or "removed" in document:
        raise NotFound(f"{resource.name} {id} does not exist")
    return document
