"""Every bill that Kafka still holds beside the bill that is stored, and the gaps that nobody has closed.

A database that was restored behind Kafka, without adopting what was published since, shows here: its bills have other numbers.
"""

from libs.audit.domain.published import UnreadGap, check_published, open_gap, unreadable_bills
from libs.audit.findings import Findings
from libs.audit.reader import Reader
from libs.contracts import BillIssued
from libs.runtime.gaps import GAPS
from libs.runtime.lag import SERVICES
from libs.runtime.published import PublishedReader
from libs.runtime.settings import RuntimeSettings

COMPARED_FIELDS = ("account_id", "bill_no", "currency", "tax_included_amount")


async def audit_published_bills(settings: RuntimeSettings, reader: Reader, findings: Findings) -> None:
    """Compare the number and the total of each published bill with those of the stored one."""
    published = PublishedReader(settings, {})
    async for found in published.read(BillIssued):
        bills = [bill for bill in found if reader.includes(bill.fact.id)]
        wanted = {"_id": {"$in": list({bill.fact.id for bill in bills})}}
        stored = {document["_id"]: document async for document in reader.find("invoicing", "bills", wanted, fields=COMPARED_FIELDS)}
        for bill in bills:
            findings.checked["published bills"] += 1
            findings.add(*check_published(bill.fact, stored.get(bill.fact.id)), key=bill.fact.id)
    if published.malformed_count:
        findings.add(unreadable_bills(published.malformed_count))


async def audit_gaps(reader: Reader, findings: Findings) -> None:
    """Report each gap until somebody closes it."""
    for service in SERVICES:
        async for gap in reader.find(service, GAPS, reader.among("_id")):
            findings.checked["gaps"] += 1
            if gap["closed_at"] is None:
                findings.add(open_gap(UnreadGap(gap["_id"], gap["message_count"])), key=gap["_id"])
