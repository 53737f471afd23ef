"""TM Forum hub: subscriptions, and the events that they receive. The gateway writes both in TMF words."""

from typing import Any, Self

from pydantic import model_validator

from libs.contracts.fact import Id, RecordFact, Text
from libs.exact_decimal import KEPT
from libs.exact_json import read_json, write_json
from libs.periods import Instant


class SubscriptionChanged(RecordFact, topic="hub.subscription_changed.v1", key="id"):
    """A subscription was made or removed. `api` is the TMF number, such as TMF678, whose hub took it."""

    id: Id
    api: Id
    callback: Text
    query: Text = ""
    removed: bool = False
    changed_at: Instant


# Subscribers get the events of a resource in their order.
class HubEventRaised(RecordFact, topic="hub.event_raised.v1", key="resource_id", ordered=True):
    """A TMF event, ready to send: `envelope` is the v4 event body, in order per resource. `id` is its eventId.

    Amounts in the envelope are decimals and travel as JSON numbers, digit by digit.
    """

    id: Id
    api: Id
    event_type: Id
    resource_id: Id
    raised_at: Instant
    envelope: dict[str, Any]

    @model_validator(mode="before")
    @classmethod
    def _read_exactly(cls, body: Any) -> Any:
        return read_json(body, KEPT) if isinstance(body, bytes) else body

    def to_message(self) -> bytes:
        """As of any fact, but with decimals as numbers."""
        return write_json(self.model_dump())

    @classmethod
    def _parse(cls, body: bytes) -> Self:
        return cls.model_validate(body)


class DeliveryRetryRequested(RecordFact, topic="hub.delivery_retry_requested.v1", key="delivery_id", partitions=1):
    """An operative sends a parked delivery again; it gets all its tries anew."""

    id: Id
    delivery_id: Text
    requested_at: Instant
