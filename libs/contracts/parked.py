"""Parked messages: what failed by itself, kept with its reason, and what an operative asks for it.

Where order matters, later messages of the same key wait behind a parked one and go with it.
"""

from enum import StrEnum

from libs.contracts.bounded import Count, Total
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.periods import Instant


class ParkedState(StrEnum):
    """What became of a message. `parked` and `waiting` are open."""

    PARKED = "parked"
    WAITING = "waiting"
    HANDLED = "handled"
    DISCARDED = "discarded"


class ParkedEvent(Record):
    """One step in the life of a parked message: who did what, when and why."""

    at: Instant
    action: Text
    by: Text | None = None
    note: Text | None = None


class MessageParked(RecordFact, topic="message.parked.v1", key="id", partitions=1):
    """Also the stored document (collection `parked` of the service). Bodies and `message_key` are base64.

    `body` stays as it was received; in the published fact it is empty where it is larger than 1 MB. `chain` names the messages of
    one key that are kept in order.
    """

    id: Id
    service: Id
    handler: Id
    topic_name: Id
    partition: Count
    offset: Total
    message_key: str | None = None
    body: str
    reason: Text
    parked_at: Instant
    retried_at: Instant | None = None
    state: ParkedState = ParkedState.PARKED
    chain: Text | None = None
    mended_body: str | None = None
    history: tuple[ParkedEvent, ...] = ()

    @property
    def handled_body(self) -> str:
        """The body that a retry handles: the mended one, where there is one."""
        return self.body if self.mended_body is None else self.mended_body


class ParkedRetryRequested(RecordFact, topic="message.retry_requested.v1", key="id", partitions=1):
    """An operative retries a parked message: the handler that parked it handles it again, and what waits behind it."""

    id: Id
    service: Id
    parked_id: Id
    requested_at: Instant
    requested_by: Text | None = None


class ParkedMendRequested(RecordFact, topic="message.mend_requested.v1", key="id", partitions=1):
    """An operative gives a parked message another body (base64), with which its handler handles it."""

    id: Id
    service: Id
    parked_id: Id
    body: str
    reason: Text
    requested_at: Instant
    requested_by: Text | None = None


class ParkedDiscardRequested(RecordFact, topic="message.discard_requested.v1", key="id", partitions=1):
    """An operative gives a parked message up for good. What waits behind it is handled."""

    id: Id
    service: Id
    parked_id: Id
    reason: Text
    requested_at: Instant
    requested_by: Text | None = None


class MessageSkipRequested(RecordFact, topic="message.skip_requested.v1", key="id", partitions=1):
    """An operative has one message parked unhandled, because its handler hangs on it. `topic_name` is the name on the broker."""

    id: Id
    service: Id
    handler: Id
    topic_name: Id
    partition: Count
    offset: Total
    reason: Text
    requested_at: Instant
    requested_by: Text | None = None


class ParkedResolved(RecordFact, topic="message.resolved.v1", key="id", partitions=1):
    """What a request for a parked message came to. `id` is the request's; `state` is None when nothing is parked under the id.

    `followed_count` tells how many messages went with it.
    """

    id: Id
    service: Id
    parked_id: Id
    state: ParkedState | None = None
    detail: Text = ""
    followed_count: Count = 0
