"""A change of a stored resource: read, decide, replace that very revision, publish; again when somebody was quicker."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.contracts import Fact
from services.tmf_gateway.domain.refusal import Conflict, NotFound
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.gateway import Gateway

# So many others changing one resource within milliseconds is no ordinary day.
ATTEMPTS_MAX = 10

Stored = dict[str, Any]


async def store_change(
    gateway: Gateway,
    collection: str,
    resource: Resource,
    id: str,
    *,
    change: Callable[[Stored], Stored],
    facts_of: Callable[[Stored, Stored | None], Sequence[Fact]],
    replace: Callable[[Stored, Stored, Sequence[Fact]], Awaitable[bool]],
) -> Stored:
    """The document after `change`, which returns its argument's equal when there is nothing to do. Raises Refusal."""
    for _ in range(ATTEMPTS_MAX):
        before = await gateway.store.find(collection, id)
        if before is None:
            raise NotFound(f"{resource.name} {id} does not exist")
        after = change(before)
        if after["revision"] == before["revision"]:
            return before
        facts = facts_of(after, before)
        if await replace(after, before, facts):
            await gateway.outbox.send(collection, after, facts, gateway.outbox.left_behind(collection, before))
            return after
    raise Conflict(f"{resource.name} {id} is being changed by others; ask again")
