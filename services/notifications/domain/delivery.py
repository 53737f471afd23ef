"""A delivery: one event owed to one subscription, decided once, then tried until it is delivered, parked or cancelled.

Deliveries of one resource to one subscription form a lane; `sequence` is their order in it, from 1.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from libs.contracts import HubEventRaised, Record, SubscriptionChanged
from libs.exact_json import write_json
from libs.hub_query import HubQuery, parse_hub_query

Lane = tuple[str, str]


class DeliveryState(StrEnum):
    """pending until delivered, or cancelled with its subscription; parked after the last try, until somebody retries it."""

    PENDING = "pending"
    DELIVERED = "delivered"
    PARKED = "parked"
    CANCELLED = "cancelled"


class Attempt(Record):
    """One try: the HTTP status, or the error that came instead of one."""

    at: datetime
    duration_ms: int
    status: int | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Any 2xx is success; a redirect is not followed, so it is none."""
        return self.status is not None and 200 <= self.status < 300


class Delivery(Record):
    """The stored document (collection `deliveries`).

    `body` is the JSON that is sent, the same at every try, so that its signature can be compared. `tries` counts the
    attempts since it was planned or retried. `ended_at` is when it was delivered or cancelled.
    """

    id: str
    subscription_id: str
    event_id: str
    event_type: str
    resource_id: str
    body: str
    sequence: int
    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    attempts: tuple[Attempt, ...] = ()
    reason: str | None = None
    due_at: datetime
    created_at: datetime
    ended_at: datetime | None = None

    @property
    def lane(self) -> Lane:
        """What is kept in order."""
        return (self.subscription_id, self.resource_id)


@dataclass(frozen=True)
class ReceivedEvent:
    """An event, and when it was first received."""

    event: HubEventRaised
    received_at: datetime


def plan(received: Iterable[ReceivedEvent], subscriptions: Sequence[SubscriptionChanged], at: datetime) -> list[Delivery]:
    """The deliveries that these events owe these subscriptions, in order; their `sequence` is still to be given.

    A subscription gets what was received since it was made.
    """
    return [
        _owed(event, subscription, query, at)
        for event, received_at in ((one.event, one.received_at) for one in received)
        for subscription in subscriptions
        if subscription.api == event.api and not subscription.removed and subscription.changed_at <= received_at
        if (query := parse_hub_query(subscription.query)).wants(event.event_type, event.envelope)
    ]


def _owed(event: HubEventRaised, subscription: SubscriptionChanged, query: HubQuery, at: datetime) -> Delivery:
    return Delivery(
        id=f"{subscription.id}|{event.id}",
        subscription_id=subscription.id,
        event_id=event.id,
        event_type=event.event_type,
        resource_id=event.resource_id,
        body=write_json(query.select(event.envelope)).decode(),
        sequence=0,
        due_at=at,
        created_at=at,
    )


def in_sequence(planned: Iterable[Delivery], last: Mapping[Lane, int]) -> list[Delivery]:
    """Number new deliveries after the last one of their lane."""
    lasts = dict(last)
    numbered = []
    for delivery in planned:
        lasts[delivery.lane] = lasts.get(delivery.lane, 0) + 1
        numbered.append(delivery.model_copy(update={"sequence": lasts[delivery.lane]}))
    return numbered
