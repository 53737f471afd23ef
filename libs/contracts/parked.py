"""Parked messages: what can never succeed as it is, kept with its reason until somebody re-drives it."""

from libs.contracts.fact import Id, RecordFact, Text
from libs.periods import Instant


class MessageParked(RecordFact, topic="message.parked.v1", key="id", partitions=1):
    """Also the stored document (collection `parked` of the service). `body` and `message_key` are base64."""

    id: Id
    service: Id
    handler: Id
    topic_name: Id
    partition: int
    offset: int
    message_key: str | None = None
    body: str
    reason: Text
    parked_at: Instant
    retried_at: Instant | None = None


class ParkedRetryRequested(RecordFact, topic="message.retry_requested.v1", key="id", partitions=1):
    """An operative re-drives a parked message: the service publishes it again on its own topic."""

    id: Id
    service: Id
    parked_id: Id
    requested_at: Instant
