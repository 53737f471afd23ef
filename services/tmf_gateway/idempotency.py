"""Idempotency-Key: a POST that is sent again under its key gets the first answer, and nothing is created twice.

The id of the resource is derived from the path and the key, so of two that come at once only one can be stored, and what a
crash left is found again. The answer is kept for a day. After that a repeat is answered with the resource as it is then, or
refused where the resource was deleted: an id is given once, for consumers take a first revision after a later one for an old one.
"""

import hashlib
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request, Response
from pymongo import ReturnDocument
from pymongo.asynchronous.database import AsyncDatabase

from libs.exact_json import write_json
from libs.runtime import Index
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.tmf_gateway.domain.refusal import BadRequest, Conflict

ANSWERS = "idempotent_answers"
# The ids of what was deleted.
SPENT_IDS = "spent_ids"
KEPT_S = 24 * 3600
KEY_LENGTH_MAX = 255
# With a document: the digest of the body that it was made of.
REQUEST_DIGEST = "request_digest"
INDEXES = (Index(ANSWERS, (("answered_at", 1),), "answers are forgotten after a day", expire_after_s=KEPT_S),)
_IDS = uuid.UUID("4c1d2a7e-91f3-4f0e-8a5b-6d7c2e8b9a10")
_KEY = re.compile(r"[\x21-\x7e]+")

Stored = dict[str, Any]


@dataclass(frozen=True)
class Creation:
    """The id of the resource that a POST creates, and the mark to store with it."""

    id: str
    mark: Mapping[str, str]


class Idempotency:
    """The answers to POSTs with a key."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def once(
        self,
        request: Request,
        body: Any,
        collection: str,
        create: Callable[[Creation], Awaitable[Response]],
        repeat: Callable[[Stored], Response],
        at: datetime,
    ) -> Response:
        """Return the answer of `create`, or the one that this key had before. `repeat` answers for a document that is stored.
        Raises Conflict when the key came with another body."""
        key = _key_of(request)
        if key is None:
            return await create(Creation(uuid.uuid4().hex, {}))
        id, digest = uuid.uuid5(_IDS, f"{request.url.path} {key}").hex, _digest(body)
        kept = await self._database[ANSWERS].find_one({"_id": id})
        if kept is None:
            answer = await self._stored_once(id, digest, collection, create, repeat)
            kept = await self._keep(id, digest, answer, at)
        _check_digest(kept, digest)
        return Response(kept["body"], kept["status"], dict(kept["headers"]))

    async def spend(self, id: str, at: datetime) -> None:
        """Remember that a resource is being deleted: its id is never given again."""
        await self._database[SPENT_IDS].update_one({"_id": id}, {"$setOnInsert": {"deleted_at": at}}, upsert=True)

    async def _stored_once(
        self,
        id: str,
        digest: str,
        collection: str,
        create: Callable[[Creation], Awaitable[Response]],
        repeat: Callable[[Stored], Response],
    ) -> Response:
        document = await self._present(collection, id)
        if document is None:
            try:
                with ids_may_be_there():
                    return await create(Creation(id, {REQUEST_DIGEST: digest}))
            except (Conflict, AlreadyThere):
                # The same request may have come twice at once: then what stands in the way is what it has stored.
                document = await self._present(collection, id)
                if document is None:
                    raise
        _check_digest(document, digest)
        return repeat(document)

    async def _present(self, collection: str, id: str) -> Stored | None:
        """Return the document of an id, None for one that was never given. Raises Conflict for that of something deleted."""
        document = await self._database[collection].find_one({"_id": id})
        if document is not None and "removed" not in document:
            return document
        if document is not None or await self._database[SPENT_IDS].find_one({"_id": id}) is not None:
            raise Conflict(f"what this Idempotency-Key created, {id}, was deleted since: send a new key")
        return None

    async def _keep(self, id: str, digest: str, answer: Response, at: datetime) -> Stored:
        headers = {name: answer.headers[name] for name in ("content-type", "location", "etag") if name in answer.headers}
        kept = {REQUEST_DIGEST: digest, "status": answer.status_code, "headers": headers, "body": bytes(answer.body), "answered_at": at}
        first = await self._database[ANSWERS].find_one_and_update(
            {"_id": id}, {"$setOnInsert": kept}, upsert=True, return_document=ReturnDocument.AFTER
        )
        assert first is not None, "an upsert returns what is there afterwards"
        return first


def _key_of(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
        raise BadRequest(f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable ASCII characters without blanks, such as a UUID")
    return key


def _digest(body: Any) -> str:
    return hashlib.sha256(write_json(_ordered(body))).hexdigest()


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _check_digest(stored: Mapping[str, Any], digest: str) -> None:
    # What was adopted after a restore has no digest: its id says that the key is the same.
    if stored.get(REQUEST_DIGEST, digest) != digest:
        raise Conflict("this Idempotency-Key came with another body before: send a new key with a new body")
