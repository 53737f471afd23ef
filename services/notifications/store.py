"""The documents of notifications: `subscriptions`, recent `events`, `deliveries`, and the `leases` on subscribers.

Events are kept for a while because subscriptions and events come on different topics: a subscription that is read
late still gets the events that were received since it was made. Writer of an event: first the event, then look for
subscriptions; writer of a subscription: first the subscription, then look for events. One of the two sees the other,
and whoever plans an event plans the earlier ones of its resource with it, so that none is overtaken.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import HubEventRaised, SubscriptionChanged
from libs.runtime import Index, from_document, in_transaction, to_document
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.notifications.domain.delivery import Attempt, Delivery, DeliveryState, Lane, ReceivedEvent, in_sequence
from services.notifications.domain.retry import Outcome

# Far more than the two consumers ever lie apart.
EVENTS_KEPT_S = 3600
# Enough to see how a delivery went, however often it is retried.
ATTEMPTS_KEPT = 100
LOOK_AGAIN_MAX = 5
# Bounds the time and the size of a transaction when many events meet many subscriptions.
DELIVERIES_PER_TRANSACTION_MAX = 1_000
DELIVERIES_KEPT_S = 30 * 24 * 3600

INDEXES = (
    Index("subscriptions", (("api", 1), ("removed", 1)), "who may want an event of an API"),
    Index("events", (("api", 1), ("received_at", 1)), "what a subscription that was read late has missed"),
    Index("events", (("resource_id", 1), ("received_at", 1)), "what came before an event of a resource"),
    Index("events", (("received_at", 1),), "forgetting events", expire_after_s=EVENTS_KEPT_S),
    Index(
        "deliveries",
        (("subscription_id", 1), ("resource_id", 1), ("sequence", 1)),
        "the next of a lane; and two instances cannot both number a delivery the same",
        unique=True,
    ),
    Index(
        "deliveries",
        (("state", 1), ("subscription_id", 1), ("due_at", 1), ("resource_id", 1)),
        "which subscriptions and which of their resources are due; tarifa hub deliveries --state",
    ),
    Index("deliveries", (("created_at", -1),), "tarifa hub deliveries: newest first"),
    Index("deliveries", (("ended_at", 1),), "forgetting what was delivered or cancelled", expire_after_s=DELIVERIES_KEPT_S),
)


class NotificationsStore:
    """Reads and writes of the notifications database."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._subscriptions = database["subscriptions"]
        self._events = database["events"]
        self._deliveries = database["deliveries"]

    async def keep_subscription(self, subscription: SubscriptionChanged) -> None:
        """Keep a subscription; a removed one never comes back."""
        document = to_document(subscription)
        if subscription.removed:
            await self._subscriptions.replace_one({"_id": subscription.id}, document, upsert=True)
        else:
            await self._subscriptions.update_one({"_id": subscription.id}, {"$setOnInsert": document}, upsert=True)

    async def subscription(self, subscription_id: str) -> SubscriptionChanged | None:
        """A subscription as it stands, also a removed one."""
        document = await self._subscriptions.find_one({"_id": subscription_id})
        return from_document(SubscriptionChanged, document) if document else None

    async def active_subscriptions(self, apis: Iterable[str]) -> list[SubscriptionChanged]:
        """Every subscription at the hubs of these APIs."""
        found = self._subscriptions.find({"api": {"$in": list(apis)}, "removed": False})
        return [from_document(SubscriptionChanged, document) async for document in found]

    async def keep_events(self, events: Iterable[HubEventRaised], received_at: datetime) -> None:
        """Keep events in their order for subscriptions that are read late; as messages, so that nothing is lost on the way."""
        writes = [
            UpdateOne(
                {"_id": event.id},
                {
                    "$setOnInsert": {
                        "api": event.api,
                        "resource_id": event.resource_id,
                        "received_at": received_at,
                        "position": position,
                        "message": event.to_message(),
                    }
                },
                upsert=True,
            )
            for position, event in enumerate(events)
        ]
        if writes:
            await self._events.bulk_write(writes)

    async def events_received_since(self, api: str, since: datetime) -> list[ReceivedEvent]:
        """What came in at an API's hub, in order."""
        return await self._received({"api": api, "received_at": {"$gte": since}}, "api")

    async def events_of_resources(self, resource_ids: Iterable[str]) -> list[ReceivedEvent]:
        """What came in about these resources, in order."""
        return await self._received({"resource_id": {"$in": list(resource_ids)}}, "resource_id")

    async def _received(self, wanted: dict[str, Any], first_key: str) -> list[ReceivedEvent]:
        # From the newest back, along an index: whatever is kept before an event that was seen is read after it, and so is seen too.
        # Thus no event comes without those that were kept before it, and no snapshot is needed, which MongoDB refuses under load.
        backwards = [(first_key, -1), ("received_at", -1)]
        found = [document async for document in self._events.find(wanted).sort(backwards)]
        found.sort(key=lambda document: (document["received_at"], document["position"]))
        return [ReceivedEvent(HubEventRaised.from_message(document["message"]), document["received_at"]) for document in found]

    async def add_deliveries(self, planned: Sequence[Delivery]) -> None:
        """Write what was not planned before, in order, each numbered after the last of its lane.

        Looks again when somebody wrote the same meanwhile: a new subscription and its first events are planned side by side.
        """
        for start in range(0, len(planned), DELIVERIES_PER_TRANSACTION_MAX):
            chunk = planned[start : start + DELIVERIES_PER_TRANSACTION_MAX]
            for _ in range(LOOK_AGAIN_MAX - 1):
                with suppress(AlreadyThere):
                    await self._add_fresh(chunk)
                    break
            else:
                await self._add_fresh(chunk)

    async def _add_fresh(self, planned: Sequence[Delivery]) -> None:
        """Raises AlreadyThere when another instance wrote some of it meanwhile."""
        ids = [delivery.id for delivery in planned]
        known = {document["_id"] async for document in self._deliveries.find({"_id": {"$in": ids}}, {"_id": 1})}
        fresh = [delivery for delivery in planned if delivery.id not in known]
        if not fresh:
            return
        numbered = in_sequence(fresh, await self._last_sequences({delivery.lane for delivery in fresh}))

        async def add(session: AsyncClientSession) -> None:
            await self._deliveries.insert_many([to_document(delivery) for delivery in numbered], session=session)

        with ids_may_be_there():
            await in_transaction(self._client, add)

    async def _last_sequences(self, lanes: Iterable[Lane]) -> dict[Lane, int]:
        subscription_ids, resource_ids = (sorted(set(ids)) for ids in zip(*lanes, strict=True))
        lasts = await self._deliveries.aggregate(
            [
                {"$match": {"subscription_id": {"$in": subscription_ids}, "resource_id": {"$in": resource_ids}}},
                {"$group": {"_id": {"subscription": "$subscription_id", "resource": "$resource_id"}, "last": {"$max": "$sequence"}}},
            ]
        )
        return {(found["_id"]["subscription"], found["_id"]["resource"]): found["last"] async for found in lasts}

    async def subscriptions_with_work(self, at: datetime) -> list[str]:
        """The subscriptions that a delivery is due for."""
        pending = await self._deliveries.distinct("subscription_id", {"state": DeliveryState.PENDING})
        return [subscription_id for subscription_id in pending if await self.due_resources(subscription_id, at, (), 1)]

    async def due_resources(self, subscription_id: str, at: datetime, busy: Iterable[str], count: int) -> list[str]:
        """Resources of a subscription that waited longest, other than the busy ones; at most `count`, at least one if any is due."""
        due: dict[str, Any] = {
            "state": DeliveryState.PENDING,
            "subscription_id": subscription_id,
            "due_at": {"$lte": at},
            "resource_id": {"$nin": list(busy)},
        }
        found = self._deliveries.find(due, {"_id": 0, "resource_id": 1}).sort("due_at", 1).limit(count)
        return list(dict.fromkeys([delivery["resource_id"] async for delivery in found]))

    async def head(self, lane: Lane) -> Delivery | None:
        """The first pending delivery of a lane: none may overtake it."""
        pending = {"subscription_id": lane[0], "resource_id": lane[1], "state": DeliveryState.PENDING}
        document = await self._deliveries.find_one(pending, sort=[("sequence", 1)])
        return from_document(Delivery, document) if document else None

    async def hold(self, lane: Lane, until: datetime) -> None:
        """Let a whole lane wait for its head."""
        waiting = {"subscription_id": lane[0], "resource_id": lane[1], "state": DeliveryState.PENDING, "due_at": {"$lt": until}}
        await self._deliveries.update_many(waiting, {"$set": {"due_at": until}})

    async def record(self, delivery: Delivery, attempt: Attempt, outcome: Outcome) -> None:
        """Write down an attempt and what follows from it. An ended delivery stays ended."""
        change: dict[str, Any] = {"state": outcome.state, "reason": outcome.reason}
        if outcome.due_at is not None:
            change["due_at"] = outcome.due_at
        if outcome.state is DeliveryState.DELIVERED:
            change["ended_at"] = attempt.at
        await self._deliveries.update_one(
            {"_id": delivery.id, "state": DeliveryState.PENDING},
            {
                "$set": change,
                "$inc": {"tries": 1},
                "$push": {"attempts": {"$each": [attempt.model_dump()], "$slice": -ATTEMPTS_KEPT}},
            },
        )

    async def cancel(self, subscription_id: str, at: datetime, reason: str) -> None:
        """End everything that is still owed to a subscription."""
        pending = {"subscription_id": subscription_id, "state": DeliveryState.PENDING}
        await self._deliveries.update_many(pending, {"$set": {"state": DeliveryState.CANCELLED, "ended_at": at, "reason": reason}})

    async def reopen(self, delivery_id: str, at: datetime) -> bool:
        """Make a parked delivery pending again; False when there is no such delivery."""
        await self._deliveries.update_one(
            {"_id": delivery_id, "state": DeliveryState.PARKED},
            {"$set": {"state": DeliveryState.PENDING, "tries": 0, "due_at": at, "reason": None}},
        )
        return await self._deliveries.count_documents({"_id": delivery_id}, limit=1) > 0
