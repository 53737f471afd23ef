"""Adopting resources: after a restore the gateway takes over what clients had created, changed and removed since over HTTP.

Each revision was published as a hub event that shows the whole resource, and products, subscriptions and requests as facts as well.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import DeleteOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import (
    HubEventRaised,
    OnDemandBillRequested,
    ProductChanged,
    SubscriptionChanged,
    TariffAccepted,
    TariffPublished,
    TariffRefused,
)
from libs.runtime.adoption import Adopted, insert_missing
from libs.runtime.published import PublishedReader
from services.tmf_gateway.domain.adopted import (
    adopted_request,
    adopted_resource,
    adopted_subscription,
    product_parts,
    revision_of,
)
from services.tmf_gateway.domain.launching import adopted_publication, answered_offering
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.domain.tmf620 import PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION
from services.tmf_gateway.domain.tmf637 import PRODUCT
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT
from services.tmf_gateway.domain.tmf678 import BILL_ON_DEMAND
from services.tmf_gateway.store import (
    ACCOUNTS,
    IDENTIFIER_HOLDINGS,
    ON_DEMAND_REQUESTS,
    PRODUCT_OFFERING_PRICES,
    PRODUCT_OFFERINGS,
    PRODUCT_SPECIFICATIONS,
    PRODUCTS,
    SUBSCRIPTIONS,
    holdings_of,
)

COLLECTIONS: dict[str, tuple[Resource, str]] = {
    resource.definition: (resource, collection)
    for resource, collection in (
        (BILLING_ACCOUNT, ACCOUNTS),
        (PRODUCT, PRODUCTS),
        (PRODUCT_OFFERING, PRODUCT_OFFERINGS),
        (PRODUCT_OFFERING_PRICE, PRODUCT_OFFERING_PRICES),
        (PRODUCT_SPECIFICATION, PRODUCT_SPECIFICATIONS),
    )
}
CHANGES = ("AttributeValueChangeEvent", "StateChangeEvent", "CreateEvent", "DeleteEvent")
DELETED = "DeleteEvent"
Document = dict[str, Any]


class ResourceAdoption:
    """Writes the gateway's own documents."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def adopt(self, published: PublishedReader, adopted: Adopted) -> None:
        """Take over every resource whose revision is newer than the one that was restored."""
        shown_requests: dict[str, Document] = {}
        deleted: set[str] = set()
        async for events in published.read(HubEventRaised):
            deleted |= await self._adopt_events([event.fact for event in events], adopted)
            shown_requests |= _requests_in([event.fact for event in events])
        async for products in published.read(ProductChanged):
            await self._adopt_products([product.fact for product in products if product.fact.id not in deleted], adopted)
        async for publications in published.read(TariffPublished):
            await self._adopt_publications([each.fact for each in publications], adopted)
        async for accepted in published.read(TariffAccepted):
            await self._adopt_answers([each.fact for each in accepted])
        async for refused in published.read(TariffRefused):
            await self._adopt_answers([each.fact for each in refused])
        async for changes in published.read(SubscriptionChanged):
            await self._adopt_subscriptions([change.fact for change in changes], adopted)
        async for requests in published.read(OnDemandBillRequested):
            # Those that others than the gateway published have no event, and it keeps none of them.
            own = [adopted_request(each.fact, shown_requests[each.fact.id]) for each in requests if each.fact.id in shown_requests]
            await insert_missing(self._database[ON_DEMAND_REQUESTS], own, adopted, ON_DEMAND_REQUESTS)

    async def _adopt_events(self, events: Sequence[HubEventRaised], adopted: Adopted) -> set[str]:
        """Returns the ids of the resources that were deleted."""
        by_definition: dict[str, list[tuple[str, HubEventRaised]]] = {}
        for event in events:
            definition, change = _definition_of(event.event_type)
            # The event of a deletion names no revision: none comes after it.
            if definition in COLLECTIONS and (change == DELETED or revision_of(event) is not None):
                by_definition.setdefault(definition, []).append((change, event))
        deleted = [await self._adopt_resources(definition, of_resource, adopted) for definition, of_resource in by_definition.items()]
        return set().union(*deleted)

    async def _adopt_resources(self, definition: str, events: Sequence[tuple[str, HubEventRaised]], adopted: Adopted) -> set[str]:
        resource, name = COLLECTIONS[definition]
        collection = self._database[name]
        found = collection.find({"_id": {"$in": list({event.resource_id for _, event in events})}})
        stored = {document["_id"]: document async for document in found}
        known: dict[str, Document | None] = dict(stored)
        changed: set[str] = set()
        for change, event in events:
            before = known.get(event.resource_id)
            if change == DELETED:
                known[event.resource_id] = None
            elif before is None or before["revision"] < (revision_of(event) or 0):
                known[event.resource_id] = {
                    **(before or _beside(definition)),
                    **adopted_resource(event, definition, resource.name, before),
                }
            else:
                continue
            changed.add(event.resource_id)
        deleted = {id for id in changed if known[id] is None}
        if name == PRODUCTS:
            await self._release([stored[id] for id in deleted & stored.keys()])
        writes: list[Any] = [
            DeleteOne({"_id": id}) if (document := known[id]) is None else ReplaceOne({"_id": id}, document, upsert=True)
            for id in sorted(changed)
        ]
        if writes:
            await collection.bulk_write(writes, ordered=False)
            adopted.counts[name] += len(writes)
        return deleted

    async def _release(self, products: Iterable[Document]) -> None:
        """Free the identifiers of deleted products."""
        writes = [
            UpdateOne({"_id": id}, {"$pull": {"holdings": {"product_id": product["_id"]}}})
            for product in products
            for id, _ in holdings_of({"identifiers": [], **product})
        ]
        if writes:
            await self._database[IDENTIFIER_HOLDINGS].bulk_write(writes)

    async def _adopt_products(self, products: Sequence[ProductChanged], adopted: Adopted) -> None:
        newest: dict[str, ProductChanged] = {}
        for product in products:
            if product.id not in newest or newest[product.id].revision <= product.revision:
                newest[product.id] = product
        there = self._database[PRODUCTS].find({"_id": {"$in": list(newest)}}, {"revision": 1, "identifiers": 1})
        known = {document["_id"]: document async for document in there}
        for product in newest.values():
            if product.id not in known:
                adopted.lost.append(
                    f"product {product.id} was published for billing and its event was not: create it again if it is missed"
                )
                continue
            if product.revision >= known[product.id]["revision"]:
                await self._adopt_parts(product, known[product.id].get("identifiers", ()))

    async def _adopt_parts(self, product: ProductChanged, released: Iterable[Document]) -> None:
        parts = product_parts(product)
        await self._database[PRODUCTS].update_one({"_id": product.id}, {"$set": parts})
        taken_off = [{"_id": id} for id, _ in holdings_of({"_id": product.id, "identifiers": [*released, *parts["identifiers"]]})]
        pulled = {"$pull": {"holdings": {"product_id": product.id}}}
        held = holdings_of({"_id": product.id, **parts})
        writes = [UpdateOne(query, pulled) for query in taken_off]
        writes += [UpdateOne({"_id": id}, {"$push": {"holdings": holding}}, upsert=True) for id, holding in held]
        if writes:
            await self._database[IDENTIFIER_HOLDINGS].bulk_write(writes)

    async def _adopt_publications(self, published: Sequence[TariffPublished], adopted: Adopted) -> None:
        offerings = self._database[PRODUCT_OFFERINGS]
        for adopting in filter(None, map(adopted_publication, published)):
            offering_id, publication = adopting
            missing = {"_id": offering_id, "publications.id": {"$ne": publication["id"]}}
            in_order = {"publications": {"$each": [publication], "$sort": {"published_at": 1}}}
            added = await offerings.update_one(missing, {"$push": in_order})
            adopted.counts["publications of offerings"] += added.modified_count

    async def _adopt_answers(self, answers: Sequence[TariffAccepted | TariffRefused]) -> None:
        """The offering's resource says already what became of its books: only the publications do not."""
        offerings = self._database[PRODUCT_OFFERINGS]
        for answer in answers:
            offering = await offerings.find_one({"publications.id": answer.id})
            if offering is not None:
                publications = answered_offering(offering, answer)["publications"]
                await offerings.update_one({"_id": offering["_id"]}, {"$set": {"publications": publications}})

    async def _adopt_subscriptions(self, changes: Sequence[SubscriptionChanged], adopted: Adopted) -> None:
        newest = {change.id: change for change in changes}
        removed = [id for id, change in newest.items() if change.removed]
        await self._database[SUBSCRIPTIONS].delete_many({"_id": {"$in": removed}})
        made = [adopted_subscription(change) for change in newest.values() if not change.removed]
        await insert_missing(self._database[SUBSCRIPTIONS], made, adopted, SUBSCRIPTIONS)


def _definition_of(event_type: str) -> tuple[str, str]:
    change = next((change for change in CHANGES if event_type.endswith(change)), "")
    return event_type.removesuffix(change), change


def _beside(definition: str) -> Document:
    """What a new document has that its event does not show and that is not adopted from facts."""
    return {"publications": []} if definition == PRODUCT_OFFERING.definition else {}


def _requests_in(events: Iterable[HubEventRaised]) -> dict[str, Document]:
    created = f"{BILL_ON_DEMAND.definition}CreateEvent"
    return {event.resource_id: event.envelope["event"][BILL_ON_DEMAND.name] for event in events if event.event_type == created}
