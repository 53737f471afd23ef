"""Every bill by itself, its legal number in its series, its ledger entry, and the balances that entries add up to."""

from collections.abc import AsyncIterator

from libs.audit.alignment import align
from libs.audit.domain.bills import check_bill
from libs.audit.domain.ledger import BillEntry, BillTotals, Owed, check_balance, check_entry
from libs.audit.domain.numbers import NumberWalk, unreadable_number
from libs.audit.findings import Findings
from libs.audit.reader import Pipeline, Reader
from libs.contracts import BillIssued
from libs.runtime import from_document


async def audit_bills(reader: Reader, findings: Findings) -> None:
    """Add up every bill again."""
    async for document in reader.find("invoicing", "bills", reader.among("_id"), sort="_id"):
        findings.checked["bills"] += 1
        findings.add(*check_bill(from_document(BillIssued, document)), key=document["_id"])


async def audit_numbers(reader: Reader, findings: Findings) -> None:
    """Walk the legal numbers of every series."""
    walk = NumberWalk()
    async for document in reader.aggregate("invoicing", "bills", _NUMBERS_IN_ORDER):
        if document["sequence"] is None:
            findings.add(unreadable_number(document["_id"], document["bill_no"]))
            continue
        findings.checked["bill numbers"] += 1
        findings.add(*walk.take(document["series"], document["sequence"], document["_id"]))
    counters = {document["_id"]: document["last"] async for document in reader.find("invoicing", "numbers")}
    findings.add(*walk.finish(counters))


async def audit_ledger(reader: Reader, findings: Findings) -> None:
    """Compare entries with their bills, and balances with their entries."""
    async for bill_id, (bills, entries) in align(_bill_totals(reader), _bill_entries(reader)):
        findings.checked["ledger entries"] += len(entries)
        findings.add(*check_entry(bill_id, bills, entries))
    async for owner, (sums, balances) in align(_owed_by_entries(reader), _balances(reader)):
        findings.checked["balances"] += len(balances)
        findings.add(*check_balance(owner, sums, balances))


_CAPTURES = {"$regexFind": {"input": {"$ifNull": ["$bill_no", ""]}, "regex": r"^(.+)-([0-9]{1,18})$"}}
_NUMBERS_IN_ORDER: Pipeline = [
    {"$project": {"bill_no": 1, "parts": _CAPTURES}},
    {
        "$project": {
            "bill_no": 1,
            "series": {"$arrayElemAt": ["$parts.captures", 0]},
            "sequence": {"$toLong": {"$arrayElemAt": ["$parts.captures", 1]}},
        }
    },
    {"$sort": {"series": 1, "sequence": 1}},
]


async def _bill_totals(reader: Reader) -> AsyncIterator[tuple[str, BillTotals]]:
    fields = ("account_id", "currency", "tax_excluded_amount", "tax_included_amount", "tax_items", "discounts")
    async for bill in reader.find("invoicing", "bills", fields=fields, sort="_id"):
        taxes = [(item["category"], item["amount"]) for item in bill["tax_items"]]
        discounts = [discount["amount"] for discount in bill.get("discounts", ())]
        yield (
            bill["_id"],
            BillTotals(bill["account_id"], bill["currency"], bill["tax_excluded_amount"], bill["tax_included_amount"], taxes, discounts),
        )


async def _bill_entries(reader: Reader) -> AsyncIterator[tuple[str, BillEntry]]:
    async for entry in reader.find("ledger", "entries", {"kind": "bill"}, sort="bill_id"):
        postings = [(posting["ledger_account"], posting["tax_category"], posting["amount"]) for posting in entry["postings"]]
        yield entry["bill_id"], BillEntry(entry["account_id"], entry["currency"], postings)


async def _owed_by_entries(reader: Reader) -> AsyncIterator[tuple[str, Owed]]:
    receivable = {"$filter": {"input": "$postings", "cond": {"$eq": ["$$this.ledger_account", "receivable"]}}}
    pipeline: Pipeline = [
        {
            "$group": {
                "_id": {"$concat": ["$account_id", " ", "$currency"]},
                "receivable": {"$sum": {"$sum": {"$map": {"input": receivable, "in": "$$this.amount"}}}},
                "entry_count": {"$sum": 1},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    async for owed in reader.aggregate("ledger", "entries", pipeline):
        yield owed["_id"], Owed(owed["receivable"], owed["entry_count"])


async def _balances(reader: Reader) -> AsyncIterator[tuple[str, Owed]]:
    async for balance in reader.find("ledger", "balances", sort="_id"):
        yield balance["_id"], Owed(balance["receivable"], balance["entry_count"])
