"""The whole audit, step by step; each step is one subject. A step that is done is kept, so that an audit can go on where it stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from libs.audit.bills import audit_bills, audit_ledger, audit_numbers
from libs.audit.buckets import audit_buckets
from libs.audit.causes import audit_cuts, audit_requests, audit_runs
from libs.audit.charges import audit_amounts_together, audit_charges, audit_closed_accounts
from libs.audit.cycles import audit_cycles
from libs.audit.fees import audit_fees
from libs.audit.findings import Findings
from libs.audit.looks import PAUSE_S, Step, Unhandled, look_until_sure
from libs.audit.published import audit_gaps, audit_published_bills
from libs.audit.reader import Reader, open_reader
from libs.audit.received import audit_received, audit_waiting
from libs.audit.reratings import audit_reratings
from libs.audit.usages import audit_prices, audit_suspense
from libs.contracts import UsageRated, all_facts
from libs.pricing import RateBooks
from libs.runtime.lag import lag_reader
from libs.runtime.settings import RuntimeSettings

Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """One step of the audit. `checked` names the count that grows while it runs, up to about the documents of `collection`."""

    name: str
    step: Step
    checked: str
    collection: tuple[str, str]


class Course(Protocol):
    """Keeps the steps that are done, and shows how far the present one is."""

    def finished(self, subject: str) -> Findings | None:
        """Return what a step found that is done already."""

    def begin(self, subject: Subject, expected_count: int, findings: Findings) -> None:
        """A step begins; `findings` fills while it runs."""

    def finish(self, subject: Subject, findings: Findings) -> None:
        """A step is done."""


class NoCourse:
    """Keeps and shows nothing."""

    def finished(self, subject: str) -> Findings | None:
        """Return nothing: every step runs."""
        return None

    def begin(self, subject: Subject, expected_count: int, findings: Findings) -> None:
        """Show nothing."""

    def finish(self, subject: Subject, findings: Findings) -> None:
        """Keep nothing."""


def subjects(settings: RuntimeSettings, books: RateBooks, as_of: datetime) -> list[Subject]:
    """Return the steps in their order."""
    usages, charges, bills = ("rating", "usage"), ("rating", "charges"), ("invoicing", "bills")
    return [
        Subject("usages waiting", partial(audit_waiting, settings), "partitions of usages", usages),
        Subject("usages received", partial(audit_received, settings), "messages of usages", usages),
        Subject("usages in suspense", audit_suspense, "suspense entries", ("rating", "suspense")),
        Subject("prices of usages", partial(audit_prices, books), "usages", usages),
        Subject("re-ratings", partial(audit_reratings, books), "re-ratings", ("rating", "reratings")),
        Subject("buckets of allowances", audit_buckets, "buckets", ("rating", "buckets")),
        Subject("charges", audit_charges, "charges", charges),
        Subject("charges that are rounded together", audit_amounts_together, "charges rounded together", charges),
        Subject("fees", partial(audit_fees, books), "products with fees", ("rating", "accounts")),
        Subject("closed accounts", audit_closed_accounts, "closed accounts", ("operations", "accounts")),
        Subject("bills", audit_bills, "bills", bills),
        Subject("legal numbers", audit_numbers, "bill numbers", bills),
        Subject("published bills", partial(audit_published_bills, settings), "published bills", bills),
        Subject("ledger", audit_ledger, "ledger entries", ("ledger", "entries")),
        Subject("cuts", audit_cuts, "cuts", ("rating", "cuts")),
        Subject("bill runs", audit_runs, "bill runs", ("operations", "runs")),
        Subject("billing cycles", partial(audit_cycles, as_of, books), "billing cycles", ("operations", "runs")),
        Subject("on-demand requests", audit_requests, "on-demand requests", ("on_demand_bill", "requests")),
        Subject("gaps in what was read", audit_gaps, "gaps", ("rating", "gaps")),
    ]


async def audit(
    settings: RuntimeSettings, books: RateBooks, say: Say, *, as_of: datetime, course: Course | None = None, pause_s: float = PAUSE_S
) -> Findings:
    """Compare everything.

    `say` is told each step before it begins, bill runs are missed that were due at `as_of`, and `pause_s` lies between two looks at
    what differs.
    """
    course = course or NoCourse()
    found = Findings()
    async with open_reader(settings) as reader:
        for subject in subjects(settings, books, as_of):
            known = course.finished(subject.name)
            if known is None:
                say(subject.name)
                known = await _run(settings, subject, reader, course, pause_s)
            found.merge(known)
    return found


async def unhandled(settings: RuntimeSettings) -> Unhandled:
    """Return where handlers are that have not handled all facts. What rating tells of usages is no cause of anything that is audited."""
    async with lag_reader(settings) as reader:
        behind = [at for at in await reader.partitions() if at.lag]
    plain = {settings.topic(fact.topic): fact.topic for fact in all_facts() if fact is not UsageRated}
    return {(at.group, plain[at.topic], at.partition): at.next_offset for at in behind if at.topic in plain}


async def _run(settings: RuntimeSettings, subject: Subject, reader: Reader, course: Course, pause_s: float) -> Findings:
    findings = Findings()
    course.begin(subject, await reader.count(*subject.collection), findings)
    await look_until_sure(subject.step, reader, findings, partial(unhandled, settings), pause_s)
    course.finish(subject, findings)
    return findings
