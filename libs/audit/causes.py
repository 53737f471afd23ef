"""Every cut beside its bill and what asked for it: bill runs with their accounts, on-demand requests."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any

from libs.audit.alignment import align
from libs.audit.domain.causes import AccountOfRun, Bill, Cut, Request, check_counts, check_cut, check_request
from libs.audit.findings import Findings
from libs.audit.reader import Pipeline, Reader
from libs.contracts import BillRunChanged, BillRunCounts, BillRunState, RunType
from libs.money import sum_exactly
from libs.runtime import from_document


async def audit_cuts(reader: Reader, findings: Findings) -> None:
    """Compare cuts with their bills and with the accounts of the runs that asked for them."""
    async for cut_id, (cuts, bills, accounts) in align(_cuts(reader), _bills(reader, key="cut_id"), _accounts_of_runs(reader)):
        findings.checked["cuts"] += len(cuts)
        findings.checked["accounts of bill runs"] += len(accounts)
        findings.add(*check_cut(cut_id, cuts, bills, accounts), key=cut_id)


async def audit_runs(reader: Reader, findings: Findings) -> None:
    """Count the accounts of every run again."""
    counts: defaultdict[str, _Counts] = defaultdict(_Counts)
    pipeline: Pipeline = [
        {
            "$group": {
                "_id": {"run": "$run_id", "outcome": "$outcome", "currency": {"$ifNull": ["$currency", None]}},
                "count": {"$sum": 1},
                "amount": {"$sum": "$amount"},
            }
        }
    ]
    async for group in reader.aggregate("operations", "run_accounts", pipeline):
        counts[group["_id"]["run"]].add(group)
    async for document in reader.find("operations", "runs"):
        findings.checked["bill runs"] += 1
        findings.add(*check_counts(from_document(BillRunChanged, document), counts[document["_id"]].total()))


async def last_runs(reader: Reader) -> dict[str, str]:
    """Return the last month that each cycle was run for, without the runs that were refused."""
    pipeline: Pipeline = [
        {"$match": {"state": {"$ne": BillRunState.REFUSED}}},
        {"$group": {"_id": "$cycle", "period": {"$max": "$period"}}},
    ]
    return {cycle["_id"]: cycle["period"] async for cycle in reader.aggregate("operations", "runs", pipeline)}


async def audit_requests(reader: Reader, findings: Findings) -> None:
    """Compare on-demand requests at the gateway, in on_demand_bill, and with the bills that they led to."""
    asked, taken = _requests(reader, "tmf_gateway", "on_demand_requests"), _requests(reader, "on_demand_bill", "requests")
    bills = _bills(reader, {"run_type": RunType.OFF_CYCLE.value}, key="cause_id")
    async for request_id, (at_gateway, here, bills_of_request) in align(asked, taken, bills):
        findings.checked["on-demand requests"] += 1
        findings.add(*check_request(request_id, at_gateway, here, bills_of_request), key=request_id)


class _Counts:
    """The groups of one run as they come."""

    def __init__(self) -> None:
        self._outcomes: defaultdict[str | None, int] = defaultdict(int)
        self._amounts: defaultdict[str, list[Decimal]] = defaultdict(list)

    def add(self, group: Mapping[str, Any]) -> None:
        self._outcomes[group["_id"]["outcome"]] += group["count"]
        if group["_id"]["outcome"] == "billed":
            self._amounts[group["_id"]["currency"]].append(group["amount"])

    def total(self) -> BillRunCounts:
        return BillRunCounts(
            accounts=sum(self._outcomes.values()),
            billed=self._outcomes["billed"],
            skipped=self._outcomes["skipped"],
            parked=self._outcomes["parked"],
            amounts={currency: sum_exactly(amounts) for currency, amounts in self._amounts.items()},
        )


async def _cuts(reader: Reader) -> AsyncIterator[tuple[str, Cut]]:
    pipeline: Pipeline = [
        {"$match": reader.among("_id")},
        {"$sort": {"_id": 1}},
        {"$project": {"account_id": 1, "run_type": 1, "cause_id": 1, "line_count": {"$size": "$lines"}, "returned_at": 1}},
    ]
    async for cut in reader.aggregate("rating", "cuts", pipeline):
        yield cut["_id"], Cut(cut["account_id"], RunType(cut["run_type"]), cut["cause_id"], cut["line_count"], "returned_at" in cut)


async def _bills(reader: Reader, query: Mapping[str, Any] | None = None, *, key: str) -> AsyncIterator[tuple[str, Bill]]:
    projection = {"account_id": 1, "cause_id": 1, key: 1, "line_count": {"$size": "$lines"}, "tax_included_amount": 1}
    pipeline: Pipeline = [{"$match": {**(query or {}), **reader.among(key)}}, {"$sort": {key: 1}}, {"$project": projection}]
    async for bill in reader.aggregate("invoicing", "bills", pipeline):
        yield bill[key], Bill(bill["_id"], bill["account_id"], bill["cause_id"], bill["line_count"], bill["tax_included_amount"])


async def _accounts_of_runs(reader: Reader) -> AsyncIterator[tuple[str, AccountOfRun]]:
    async for account in reader.find("operations", "run_accounts", reader.among("_id"), sort="_id"):
        yield (
            account["_id"],
            AccountOfRun(account["outcome"], account.get("bill_id"), account.get("amount"), account.get("reason")),
        )


async def _requests(reader: Reader, service: str, collection: str) -> AsyncIterator[tuple[str, Request]]:
    async for request in reader.find(service, collection, reader.among("_id"), fields=("state", "bill_id"), sort="_id"):
        yield request["_id"], Request(request["state"], request.get("bill_id"))
