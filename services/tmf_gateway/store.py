"""The gateway's own collections: what clients post, each with the facts still to be published about it.

A document's `outbox` holds messages that are published after the document is stored and removed once the broker has
them: `{revision, topic, message}`. What a crash leaves there is published again.
"""

from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo import AsyncMongoClient, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.cursor import AsyncCursor
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import Fact, OnDemandState
from libs.runtime import Index, in_transaction
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.tmf_gateway.announcing import outbox_entries
from services.tmf_gateway.domain.refusal import Conflict

ACCOUNTS = "billing_accounts"
PRODUCTS = "products"
ON_DEMAND_REQUESTS = "on_demand_requests"
SUBSCRIPTIONS = "hub_subscriptions"
IDENTIFIER_HOLDINGS = "identifier_holdings"
BILLS_ANNOUNCED = "bills_announced"
PRODUCT_OFFERINGS = "product_offerings"
PRODUCT_OFFERING_PRICES = "product_offering_prices"
PRODUCT_SPECIFICATIONS = "product_specifications"
# Where earlier releases kept what can never be published.
OUTBOX_PARKED = "outbox_parked"
CATALOGUE = (PRODUCT_OFFERINGS, PRODUCT_OFFERING_PRICES, PRODUCT_SPECIFICATIONS)
# Deleted accounts and products, until their end is published: lists of those that are there need no filter.
REMOVED = "removed_resources"
WITH_OUTBOX = (ACCOUNTS, PRODUCTS, ON_DEMAND_REQUESTS, SUBSCRIPTIONS, *CATALOGUE, REMOVED)
# A document that is to go stays until its end was told, marked `removed`.
REMOVABLE = (SUBSCRIPTIONS, *CATALOGUE, REMOVED)
PRESENT = {"removed": {"$exists": False}}
# How often an offering was stored that refers to this document. It only rises; who saw an older count looks again.
REFERENCES = "references_count"
# What an offering that is to be stored refers to, as it was read: documents by collection and id. It is not stored.
REFERRED = "referred"
Referred = Mapping[str, Mapping[str, Mapping[str, Any]]]
# Offerings with what is to be told of each.
Replanned = Sequence[tuple[Mapping[str, Any], Sequence[Fact]]]

INDEXES = (
    *(Index(collection, (("outbox.revision", 1),), "what is still to be published") for collection in WITH_OUTBOX),
    *(
        Index(collection, ((field, -1), ("_id", -1)), "lists, newest first")
        for collection, field in (
            (ACCOUNTS, "created_at"),
            (PRODUCTS, "created_at"),
            (ON_DEMAND_REQUESTS, "requested_at"),
            *((collection, "created_at") for collection in CATALOGUE),
        )
    ),
    Index(ACCOUNTS, (("resource.name", 1),), "accounts by name"),
    Index(ACCOUNTS, (("resource.relatedParty.id", 1),), "accounts of a party"),
    Index(PRODUCTS, (("account_id", 1), ("created_at", -1)), "products of an account"),
    Index(PRODUCTS, (("resource.productCharacteristic.value", 1),), "products by service identifier"),
    Index(ON_DEMAND_REQUESTS, (("account_id", 1), ("requested_at", -1)), "requests of an account"),
    Index(ON_DEMAND_REQUESTS, (("state", 1), ("published_at", 1)), "requests in progress for too long"),
    Index(PRODUCT_OFFERINGS, (("publications.id", 1),), "what became of a published rate book"),
    Index(PRODUCT_OFFERINGS, (("resource.productOfferingPrice.id", 1),), "the offerings with a price"),
    Index(PRODUCT_OFFERINGS, (("resource.productSpecification.id", 1),), "the offerings of a specification"),
    Index(SUBSCRIPTIONS, (("subject", 1),), "one subscription per callback and query", unique=True),
)
UNPUBLISHED_AT_A_TIME = 20
# An identifier without an end is held until the end of time, so that holdings compare.
_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC)


class GatewayStore:
    """Reads and writes of the gateway's own documents."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._database = database

    async def find(self, collection: str, id: str) -> dict[str, Any] | None:
        """A document by its id."""
        return await self._database[collection].find_one({"_id": id})

    async def add(self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store a new document with what is to be published about it."""
        await self._database[collection].insert_one({**document, "outbox": outbox_entries(document["revision"], facts)})
        return True

    async def replace(self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store the next revision of a document; False when somebody else did so first."""
        return await self._replace(collection, document, facts, session=None)

    async def add_offering(self, offering: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store a new offering; False when something that it refers to is no longer as it was read."""
        offering, referred = _apart(offering)

        async def work(session: AsyncClientSession) -> bool:
            if not await self._refer(referred, session):
                await session.abort_transaction()
                return False
            document = {**offering, "outbox": outbox_entries(offering["revision"], facts)}
            await self._database[PRODUCT_OFFERINGS].insert_one(document, session=session)
            return True

        return await in_transaction(self._client, work)

    async def replace_offering(self, offering: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store the next revision of an offering; False when somebody else did so first, or changed what it refers to."""
        offering, referred = _apart(offering)

        async def work(session: AsyncClientSession) -> bool:
            if await self._refer(referred, session) and await self._replace(PRODUCT_OFFERINGS, offering, facts, session):
                return True
            await session.abort_transaction()
            return False

        return await in_transaction(self._client, work)

    async def replace_price(self, price: Mapping[str, Any], facts: Sequence[Fact], replanned: Replanned) -> bool:
        """Store the next revision of a price with those of the offerings that it changes; False when somebody else was quicker."""

        async def work(session: AsyncClientSession) -> bool:
            replaced = [(PRODUCT_OFFERING_PRICES, price, facts), *((PRODUCT_OFFERINGS, *offering) for offering in replanned)]
            for collection, document, told in replaced:
                if not await self._replace(collection, document, told, session):
                    await session.abort_transaction()
                    return False
            return True

        return await in_transaction(self._client, work)

    async def add_product(self, product: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store a new product that holds its identifiers; False when its account was removed meanwhile.
        Raises Conflict when another product holds one of them."""

        async def work(session: AsyncClientSession) -> bool:
            await self._hold(product, session)
            if not await self._mark_in_use(product["account_id"], session):
                await session.abort_transaction()
                return False
            document = {**product, "outbox": outbox_entries(product["revision"], facts)}
            await self._database[PRODUCTS].insert_one(document, session=session)
            return True

        return await in_transaction(self._client, work)

    async def replace_product(self, product: Mapping[str, Any], released: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Store the next revision of a product in place of `released`; False when somebody else did so first.
        Raises Conflict when another product holds one of its identifiers."""

        async def work(session: AsyncClientSession) -> bool:
            await self._release(released, session)
            await self._hold(product, session)
            if await self._replace(PRODUCTS, product, facts, session):
                return True
            await session.abort_transaction()
            return False

        return await in_transaction(self._client, work)

    async def remove_product(self, product: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Remove a product and free its identifiers; False when somebody else was quicker."""

        async def work(session: AsyncClientSession) -> bool:
            await self._release(product, session)
            return await self._move_to_removed(PRODUCTS, product, facts, session)

        return await in_transaction(self._client, work)

    async def remove_account(self, account: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Remove an account; False when somebody else was quicker, or it got a product."""
        return await in_transaction(self._client, lambda session: self._move_to_removed(ACCOUNTS, account, facts, session))

    async def _mark_in_use(self, account_id: str, session: AsyncClientSession) -> bool:
        """Mark an account that gets its first product, for it is never removed from then on; False when it was removed.

        Only the first product writes to the account: a thousand that come at once must not wait for each other.
        """
        accounts = self._database[ACCOUNTS]
        unused = {"_id": account_id, REFERENCES: {"$exists": False}, **PRESENT}
        if (await accounts.update_one(unused, {"$set": {REFERENCES: 1}}, session=session)).matched_count:
            return True
        return await accounts.find_one({"_id": account_id, **PRESENT}, {"_id": 1}, session=session) is not None

    async def is_account_in_use(self, account_id: str) -> bool:
        """Return whether the account has or had products, or was asked to be billed."""
        if await self._database[ACCOUNTS].find_one({"_id": account_id, REFERENCES: {"$exists": True}}, {"_id": 1}) is not None:
            return True
        for collection in (PRODUCTS, ON_DEMAND_REQUESTS):
            if await self._database[collection].find_one({"account_id": account_id}, {"_id": 1}) is not None:
                return True
        return False

    async def add_subscription(self, subscription: Mapping[str, Any], facts: Sequence[Fact]) -> None:
        """Store a new subscription. Raises Conflict when the same callback and query are subscribed."""
        try:
            with ids_may_be_there():
                await self.add(SUBSCRIPTIONS, subscription, facts)
        except AlreadyThere:
            raise Conflict("this callback is already subscribed with this query") from None

    async def end_subscription(self, subscription: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Mark a subscription as removed, its callback free again; False when it was not there."""
        ended = {**subscription, "removed": True, "subject": f"removed {subscription['_id']}"}
        return await self.replace(SUBSCRIPTIONS, ended, facts)

    async def published(self, collection: str, revisions: Sequence[tuple[str, int]], at: datetime) -> None:
        """Take these revisions, which were published, out of the outboxes of their documents; what others still hold stays."""
        await self._database[collection].bulk_write(
            [
                UpdateOne({"_id": id}, {"$pull": {"outbox": {"revision": revision}}, "$set": {"published_at": at}})
                for id, revision in revisions
            ],
            ordered=False,
        )

    async def remove(self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact]) -> bool:
        """Mark the next revision of a document as removed; False when somebody else was quicker."""
        return await self.replace(collection, {**document, "removed": True}, facts)

    async def forget_removed(self, collection: str) -> None:
        """Delete the documents whose end was published."""
        await self._database[collection].delete_many({"removed": True, "outbox": {"$size": 0}})

    async def present(self, collection: str, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return by id the documents that exist and are not removed."""
        found = self._database[collection].find({"_id": {"$in": list(ids)}, **PRESENT})
        return {document["_id"]: document async for document in found}

    async def offerings_with(self, path: str, id: str) -> list[dict[str, Any]]:
        """Return the offerings that refer to a price or a specification."""
        return await self._database[PRODUCT_OFFERINGS].find({f"resource.{path}.id": id, **PRESENT}).sort("_id", 1).to_list()

    async def offering_published_as(self, publication_id: str) -> dict[str, Any] | None:
        """The offering that was published with this id."""
        return await self._database[PRODUCT_OFFERINGS].find_one({"publications.id": publication_id, **PRESENT})

    async def show_books(self, offerings: Iterable[Mapping[str, Any]], prices: Iterable[Mapping[str, Any]]) -> None:
        """Store what rate books say, beside what clients made themselves."""
        shown = {offering["_id"]: offering for offering in offerings}
        own = self._database[PRODUCT_OFFERINGS].find({"_id": {"$in": list(shown)}, "rate_books": {"$exists": False}}, {"_id": 1})
        for document in await own.to_list():
            del shown[document["_id"]]
        # The prices first, so that no offering ever names one that is not there.
        named = {reference["id"] for offering in shown.values() for reference in offering["resource"]["productOfferingPrice"]}
        shown_prices = {price["_id"]: price for price in prices if price["_id"] in named}
        for collection, documents in ((PRODUCT_OFFERING_PRICES, shown_prices), (PRODUCT_OFFERINGS, shown)):
            if documents:
                replaced = [ReplaceOne({"_id": id}, document, upsert=True) for id, document in documents.items()]
                await self._database[collection].bulk_write(replaced, ordered=False)
        for collection, documents in ((PRODUCT_OFFERINGS, shown), (PRODUCT_OFFERING_PRICES, shown_prices)):
            await self._forget_shown_but(documents, collection)

    async def _forget_shown_but(self, present: Container[str], collection: str) -> None:
        """A book that was replaced before it was in force may have had offerings and prices that the next one has not."""
        found = await self._database[collection].find({"rate_books": {"$exists": True}}, {"_id": 1}).to_list()
        gone = [document["_id"] for document in found if document["_id"] not in present]
        if gone:
            await self._database[collection].delete_many({"_id": {"$in": gone}, "rate_books": {"$exists": True}})

    async def unpublished(self, collection: str, before: datetime, limit: int) -> AsyncIterator[dict[str, Any]]:
        """Yield the id and the outbox of documents that have something in it that was not sent at once."""
        found = self._database[collection].find({"outbox.revision": {"$gt": 0}, "changed_at": {"$lt": before}}, {"outbox": 1})
        # Each may have megabytes of messages.
        async for document in found.limit(limit).batch_size(UNPUBLISHED_AT_A_TIME):
            yield document

    def formerly_parked(self) -> AsyncCursor[dict[str, Any]]:
        """Return the outbox entries that an earlier release found never to be publishable, each with `reason`."""
        return self._database[OUTBOX_PARKED].find()

    async def forget_formerly_parked(self, id: Any) -> None:
        """Delete one of them."""
        await self._database[OUTBOX_PARKED].delete_one({"_id": id})

    async def requests_in_progress(self, published_before: datetime, limit: int) -> list[dict[str, Any]]:
        """On-demand requests published long ago and not yet answered."""
        found = self._database[ON_DEMAND_REQUESTS].find({"state": OnDemandState.IN_PROGRESS, "published_at": {"$lt": published_before}})
        return await found.limit(limit).to_list()

    async def requests(self, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
        """On-demand requests by id."""
        found = await self._database[ON_DEMAND_REQUESTS].find({"_id": {"$in": list(ids)}}).to_list()
        return {request["_id"]: request for request in found}

    async def complete_requests(self, requests: Sequence[Mapping[str, Any]]) -> None:
        """Store the ends of on-demand requests; an end that is already there stays, but gives way to a bill."""
        if requests:
            await self._database[ON_DEMAND_REQUESTS].bulk_write(
                [
                    UpdateOne(
                        {"_id": request["_id"], "state": _before_end(request["state"])},
                        {"$set": {name: request[name] for name in ("state", "bill_id", "reason", "last_update_at")}},
                    )
                    for request in requests
                ],
                ordered=False,
            )

    async def announced_bills(self, ids: Iterable[str]) -> set[str]:
        """Return the bills among these that were announced to the hub."""
        found = self._database[BILLS_ANNOUNCED].find({"_id": {"$in": list(ids)}})
        return {document["_id"] async for document in found}

    async def remember_announced(self, ids: Iterable[str]) -> None:
        """The hub has heard of these bills; some it may have heard of before."""
        remembered = [UpdateOne({"_id": id}, {"$setOnInsert": {"_id": id}}, upsert=True) for id in ids]
        if remembered:
            await self._database[BILLS_ANNOUNCED].bulk_write(remembered, ordered=False)

    async def _replace(
        self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact], session: AsyncClientSession | None
    ) -> bool:
        changes = {name: value for name, value in document.items() if name not in ("_id", "outbox")}
        result = await self._database[collection].update_one(
            {"_id": document["_id"], "revision": document["revision"] - 1, REFERENCES: document.get(REFERENCES)},
            {"$set": changes, "$push": {"outbox": {"$each": outbox_entries(document["revision"], facts)}}},
            session=session,
        )
        return result.modified_count == 1

    async def _move_to_removed(
        self, collection: str, document: Mapping[str, Any], facts: Sequence[Fact], session: AsyncClientSession
    ) -> bool:
        """Move the next revision of a document out of its collection, with what is still to be published of it."""
        read = {"_id": document["_id"], "revision": document["revision"] - 1, REFERENCES: document.get(REFERENCES)}
        if not (await self._database[collection].delete_one(read, session=session)).deleted_count:
            await session.abort_transaction()
            return False
        waiting = [*document["outbox"], *outbox_entries(document["revision"], facts)]
        await self._database[REMOVED].insert_one({**document, "removed": True, "outbox": waiting}, session=session)
        return True

    async def _release(self, product: Mapping[str, Any], session: AsyncClientSession) -> None:
        await self._database[IDENTIFIER_HOLDINGS].update_many(
            {"_id": {"$in": [_holding_id(identifier) for identifier in product["identifiers"]]}},
            {"$pull": {"holdings": {"product_id": product["_id"]}}},
            session=session,
        )

    async def _refer(self, referred: Referred, session: AsyncClientSession) -> bool:
        """Count a reference to each; False when one was changed or removed since it was read. Whoever changes or removes one
        replaces what he read, count included, so that he has seen this offering, or one of the two comes too late."""
        for collection, documents in referred.items():
            for id in sorted(documents):
                unchanged = {"_id": id, "revision": documents[id]["revision"], **PRESENT}
                result = await self._database[collection].update_one(unchanged, {"$inc": {REFERENCES: 1}}, session=session)
                if not result.matched_count:
                    return False
        return True

    async def _hold(self, product: Mapping[str, Any], session: AsyncClientSession) -> None:
        for identifier in sorted(product["identifiers"], key=_holding_id):
            start, end = identifier["valid_from"], identifier["valid_to"] or _FOR_EVER
            overlaps = {"$elemMatch": {"start": {"$lt": end}, "end": {"$gt": start}}}
            try:
                with ids_may_be_there():
                    await self._database[IDENTIFIER_HOLDINGS].update_one(
                        {"_id": _holding_id(identifier), "holdings": {"$not": overlaps}},
                        {"$push": {"holdings": {"product_id": product["_id"], "start": start, "end": end}}},
                        upsert=True,
                        session=session,
                    )
            except AlreadyThere:
                raise Conflict(f"another product holds {identifier['kind']} {identifier['value']} at that time") from None


def holdings_of(product: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return what a product holds, each with the id of its document in `identifier_holdings`."""
    return [
        (
            _holding_id(identifier),
            {"product_id": product["_id"], "start": identifier["valid_from"], "end": identifier["valid_to"] or _FOR_EVER},
        )
        for identifier in product["identifiers"]
    ]


def _holding_id(identifier: Mapping[str, Any]) -> str:
    return f"{identifier['kind']}:{identifier['value']}"


def _apart(offering: Mapping[str, Any]) -> tuple[dict[str, Any], Referred]:
    return {name: value for name, value in offering.items() if name != REFERRED}, offering[REFERRED]


def _before_end(state: str) -> Any:
    return {"$ne": OnDemandState.DONE} if state == OnDemandState.DONE else OnDemandState.IN_PROGRESS
