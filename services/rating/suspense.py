"""The work list of usages that could not be rated. An entry is open until it is rated or discarded, and stays afterwards:
who gave up what, and why, is asked for years later.
"""

import base64
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pymongo import AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import MalformedFact, RejectionReason, SuspenseDiscardRequested, SuspenseRetryRequested, UsageReceived, UsageRejected
from libs.pricing.intake import NumberReader
from libs.runtime import in_transaction
from services.rating.buckets import BucketStore
from services.rating.charges import ChargeStore
from services.rating.collisions import Collision, collisions
from services.rating.documents import Document, rated_document, received_usage, rejected_document, suspended_number
from services.rating.domain.accumulation import accumulate
from services.rating.domain.drawing import BucketChange
from services.rating.domain.retrying import Retries, refuse_absent
from services.rating.domain.suspense import Suspended

# Retried in one transaction; the request then asks for the next ones itself.
RETRIED_AT_A_TIME = 1_000


class SuspenseStore:
    """The collection `suspense`, with `usage` where a retry changes its decision."""

    def __init__(
        self, client: AsyncMongoClient, store: AsyncDatabase, charges: ChargeStore, buckets: BucketStore, numbers: NumberReader
    ) -> None:
        self._client = client
        self._suspense = store["suspense"]
        self._usage = store["usage"]
        self._charges = charges
        self._buckets = buckets
        self._numbers = numbers

    async def find_to_retry(self, request: SuspenseRetryRequested) -> list[Suspended]:
        """The next open entries that the request is about, with those that it rated when it came before."""
        asked: dict[str, Any] = {"_id": {"$gt": request.after}}
        if request.suspense_id is not None:
            asked["_id"]["$eq"] = request.suspense_id
        waiting = {**asked, "state": "open"}
        if request.reason is not None:
            waiting["reason"] = request.reason.value
        if request.waits_for:
            waiting["waits_for"] = {"$in": list(request.waits_for)}
        found = self._suspense.find({"$or": [waiting, {**asked, "retry_id": request.id}]}).sort("_id", 1).limit(RETRIED_AT_A_TIME)
        return [_suspended(document) async for document in found]

    async def waiting(self, keys: Collection[str]) -> Collection[str]:
        """Return those of the keys under which something waits; all of them where too much waits to tell."""
        if not keys:
            return ()
        found = await self._suspense.find({"waits_for": {"$in": list(keys)}}, {"waits_for": 1}).limit(RETRIED_AT_A_TIME).to_list()
        if len(found) == RETRIED_AT_A_TIME:
            return keys
        return {key for entry in found for key in entry["waits_for"]}.intersection(keys)

    async def refusal(self, request: SuspenseRetryRequested | SuspenseDiscardRequested, found: Sequence[Suspended]) -> str | None:
        """Return why the entry that a request names cannot be handled, or None when it was found or none was named."""
        if found or request.suspense_id is None:
            return None
        document = await self._suspense.find_one({"_id": request.suspense_id}, {"state": 1})
        return refuse_absent(request.suspense_id, None if document is None else document["state"])

    async def resolve(self, retries: Retries, draws: Sequence[BucketChange], request: SuspenseRetryRequested, at: datetime) -> None:
        """Store the outcome, with what was drawn for it, in one transaction. Raises Collision when nothing of it was stored."""
        usages = [_replace(entry_id, rated_document(rated)) for entry_id, rated in retries.rated.items()]
        usages += [_replace(id, rejected_document(rejected)) for id, rejected in retries.rejected.items() if not _is_conflicting(rejected)]
        rated = {"state": "rated", "retry_id": request.id, "resolved_at": at}
        released = {"beyond_limits": True, "note": request.note} if request.beyond_limits else {}
        entries = [_settle(entry_id, {**rated, **released}) for entry_id in (*retries.rated, *retries.settled)]
        entries += [_update(id, {**_reason(no), **suspended_number(no, self._numbers), **released}) for id, no in retries.rejected.items()]
        increments = accumulate(retries.rated.values())
        if not entries:
            return

        async def write(session: AsyncClientSession) -> None:
            result = await self._suspense.bulk_write(entries, ordered=False, session=session)
            if result.matched_count != len(entries):
                raise Collision
            if usages:
                await self._usage.bulk_write(usages, ordered=False, session=session)
            await self._charges.add(increments, at, session)
            await self._buckets.write(draws, at, session)

        with collisions(), self._charges.known_after(increments):
            await in_transaction(self._client, write)

    async def discard(self, request: SuspenseDiscardRequested, at: datetime) -> bool:
        """Give an open entry up; whether this request did so, now or when it came before."""
        discarded = {"state": "discarded", "discard_id": request.id, "note": request.note, "resolved_at": at}
        await self._suspense.bulk_write([_settle(request.suspense_id, discarded)])
        return await self._suspense.find_one({"_id": request.suspense_id, "discard_id": request.id}, {"_id": 1}) is not None


def _is_conflicting(rejected: UsageRejected) -> bool:
    # The usage of that id is another one, and stands.
    return rejected.reason is RejectionReason.DUPLICATE_ID


def _replace(entry_id: str, document: Document) -> ReplaceOne:
    # Finds nothing, and so collides, when the usage was rated meanwhile.
    return ReplaceOne({"_id": document["_id"], "suspense_id": entry_id}, document, upsert=True)


def _update(entry_id: str, changes: Document) -> UpdateOne:
    return UpdateOne({"_id": entry_id, "state": "open"}, {"$set": changes})


def _settle(entry_id: str, changes: Document) -> UpdateOne:
    # Without its keys it is no longer found by what arrives.
    return UpdateOne({"_id": entry_id, "state": "open"}, {"$set": changes, "$unset": {"waits_for": ""}})


def _reason(rejected: UsageRejected) -> Document:
    return {"reason": rejected.reason.value, "detail": rejected.detail, "waits_for": list(rejected.waits_for)}


def _suspended(document: Document) -> Suspended:
    usage = received_usage(document["usage"]) if document["usage"] is not None else _read_again(document["body"])
    return Suspended(
        document["_id"],
        RejectionReason(document["reason"]),
        document["detail"],
        usage,
        document.get("retry_id"),
        tuple(document.get("waits_for", ())),
        document.get("beyond_limits", False),
    )


def _read_again(body: str) -> UsageReceived | None:
    try:
        return UsageReceived.from_message(base64.b64decode(body))
    except MalformedFact:
        return None
