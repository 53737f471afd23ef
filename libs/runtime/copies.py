"""A service's own copy of what another one publishes: a few fields of each fact, the newest `revision` wins.

Facts may come again and out of order; an older revision never overwrites a newer one. What the service itself added to a
copy stays.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pymongo import UpdateOne
from pymongo.asynchronous.collection import AsyncCollection


class Revised(Protocol):
    """A fact that tells the whole of something after a change."""

    @property
    def id(self) -> str: ...

    @property
    def revision(self) -> int: ...

    def model_dump(self, *, include: set[str]) -> dict[str, Any]:
        """The values of these fields, plain."""


async def remember_newest(copies: AsyncCollection, facts: Iterable[Revised], fields: Sequence[str]) -> None:
    """Keep `fields` and the revision of each fact under its id, unless a newer revision is there already."""
    newest: dict[str, Revised] = {}
    for fact in facts:
        if fact.id not in newest or newest[fact.id].revision < fact.revision:
            newest[fact.id] = fact
    if newest:
        await copies.bulk_write([_replace_older(fact, fields) for fact in newest.values()], ordered=False)


def _replace_older(fact: Revised, fields: Sequence[str]) -> UpdateOne:
    # A pipeline, because a filter on the revision would make the upsert insert a second document with the same id.
    copy: dict[str, Any] = {"_id": fact.id, "revision": fact.revision, **fact.model_dump(include=set(fields))}
    kept = {"$mergeObjects": ["$$ROOT", {"$literal": copy}]}
    older = {"$lt": [{"$ifNull": ["$revision", -1]}, fact.revision]}
    return UpdateOne({"_id": fact.id}, [{"$replaceWith": {"$cond": [older, kept, "$$ROOT"]}}], upsert=True)
