"""Gaps: messages that Kafka deleted before a handler had read them."""

from libs.contracts.fact import Id, RecordFact, Text
from libs.periods import Instant


class GapCloseRequested(RecordFact, topic="gap.close_requested.v1", key="gap_id", partitions=1):
    """An operative has dealt with a gap, or decided to live with it: `reason` says which. `closed_by` is who asked.

    The service that owns the gap keeps all of it and reports the gap no longer.
    """

    id: Id
    service: Id
    gap_id: Id
    reason: Text
    closed_by: Text
    requested_at: Instant
