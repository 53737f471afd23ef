"""The whole audit, step by step; each step is one subject."""

from collections.abc import Callable
from functools import partial

from libs.audit.bills import audit_bills, audit_ledger, audit_numbers
from libs.audit.buckets import audit_buckets
from libs.audit.causes import audit_cuts, audit_requests, audit_runs
from libs.audit.charges import audit_amounts_together, audit_charges, audit_closed_accounts
from libs.audit.fees import audit_fees
from libs.audit.findings import Findings
from libs.audit.published import audit_gaps, audit_published_bills
from libs.audit.reader import open_reader
from libs.audit.received import audit_received
from libs.audit.reratings import audit_reratings
from libs.audit.usages import audit_prices, audit_suspense
from libs.pricing import RateBooks
from libs.runtime.settings import RuntimeSettings

Say = Callable[[str], None]


async def audit(settings: RuntimeSettings, books: RateBooks, say: Say) -> Findings:
    """Compare everything; `say` is told each step before it begins."""
    findings = Findings()
    async with open_reader(settings) as reader:
        steps = {
            "usages received": partial(audit_received, settings, reader, findings),
            "usages in suspense": partial(audit_suspense, reader, findings),
            "prices of usages": partial(audit_prices, reader, books, findings),
            "re-ratings": partial(audit_reratings, reader, books, findings),
            "buckets of allowances": partial(audit_buckets, reader, findings),
            "charges": partial(audit_charges, reader, findings),
            "charges that are rounded together": partial(audit_amounts_together, reader, findings),
            "fees": partial(audit_fees, reader, books, findings),
            "closed accounts": partial(audit_closed_accounts, reader, findings),
            "bills": partial(audit_bills, reader, findings),
            "legal numbers": partial(audit_numbers, reader, findings),
            "published bills": partial(audit_published_bills, settings, reader, findings),
            "ledger": partial(audit_ledger, reader, findings),
            "cuts": partial(audit_cuts, reader, findings),
            "bill runs": partial(audit_runs, reader, findings),
            "on-demand requests": partial(audit_requests, reader, findings),
            "gaps in what was read": partial(audit_gaps, reader, findings),
        }
        for subject, step in steps.items():
            say(subject)
            await step()
    return findings
