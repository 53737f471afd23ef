"""Bill runs: one cycle of one period, over all its accounts."""

from enum import StrEnum

from pydantic import Field

from libs.contracts.bounded import Count, CurrencyCode, Exact, Revision
from libs.contracts.fact import Id, Record, RecordFact, Text
from libs.periods import Instant


# A rerun counts from the attempt before it.
class BillRunRequested(RecordFact, topic="bill_run.requested.v1", key="id", partitions=1, ordered=True):
    """Bill every account of a cycle for a period such as 2026-03. `id` is derived from cycle and period, so asking
    twice is asking once. `rerun` N > 0 bills again what run attempt N-1 left parked."""

    id: Id
    cycle: Id
    period: Id
    rerun: Count = 0
    requested_at: Instant


class BillRunState(StrEnum):
    """running until every account has an outcome; refused when the request made no sense: `reason` says why."""

    RUNNING = "running"
    COMPLETED = "completed"
    REFUSED = "refused"


class BillRunCounts(Record):
    """How many accounts have which outcome; `amounts` are billed totals including tax, per currency.

    `fees_not_charged` counts the accounts with fees that are too old for any cut to charge them.
    """

    accounts: Count = 0
    billed: Count = 0
    skipped: Count = 0
    parked: Count = 0
    fees_not_charged: Count = 0
    amounts: dict[CurrencyCode, Exact] = Field(default_factory=dict)


class BillRunChanged(RecordFact, topic="bill_run.changed.v1", key="id", partitions=1):
    """Where a run stands; also the stored document (collection `runs` of operations).

    `revision` grows with each change and decides which is newer.
    """

    id: Id
    cycle: Id
    period: Id
    state: BillRunState
    attempt: Count = 0
    counts: BillRunCounts
    started_at: Instant
    completed_at: Instant | None = None
    reason: Text | None = None
    revision: Revision = 0
