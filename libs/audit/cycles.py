"""Every billing cycle beside its bill runs: accounts that owe something are billed within days after a month."""

from collections.abc import Mapping
from datetime import datetime

from libs.audit.causes import last_runs
from libs.audit.domain.cycles import CycleAccount, CycleWithoutRun, month_due
from libs.audit.domain.fees import KnownProduct
from libs.audit.fees import CHARGED, PRODUCT_FIELDS, known_product
from libs.audit.findings import Findings
from libs.audit.reader import Document, Pipeline, Reader, in_slices
from libs.contracts import UNBILLED
from libs.pricing import RateBooks

# Their unbilled charges and their products are in memory at once.
ACCOUNTS_AT_A_TIME = 1_000


async def audit_cycles(as_of: datetime, books: RateBooks, reader: Reader, findings: Findings) -> None:
    """Look for cycles that were not run for a month that is over. Accounts are read only where there is one."""
    due, last_run = month_due(as_of), await last_runs(reader)
    cycles = [each["_id"] async for each in reader.aggregate("operations", "accounts", _cycles(reader))]
    findings.checked["billing cycles"] += len(cycles)
    late = {cycle: CycleWithoutRun(cycle, last_run.get(cycle), due) for cycle in cycles if last_run.get(cycle, "") < due}
    accounts = reader.find("operations", "accounts", {"cycle": {"$in": list(late)}}, fields=("cycle",), sort="_id")
    async for some in in_slices(accounts, ACCOUNTS_AT_A_TIME):
        await _add_owing({account["_id"]: late[account["cycle"]] for account in some}, due, books, reader)
    for cycle in late.values():
        findings.add(*cycle.differences(), key=cycle.cycle)


async def _add_owing(cycle_of: Mapping[str, CycleWithoutRun], due: str, books: RateBooks, reader: Reader) -> None:
    """Count the accounts that owe something, each in its cycle."""
    of_accounts = {"$in": list(cycle_of)}
    products: dict[str, list[KnownProduct]] = {}
    wanted = {"account_id": of_accounts, "status": {"$in": list(CHARGED)}}
    async for product in reader.find("rating", "products", wanted, fields=PRODUCT_FIELDS):
        products.setdefault(product["account_id"], []).append(known_product(product["_id"], product))
    began: dict[str, set[datetime]] = {}
    unbilled = {"account_id": of_accounts, "state": {"$in": UNBILLED}}
    async for charge in reader.find("rating", "charges", unbilled, fields=("account_id", "period.start")):
        began.setdefault(charge["account_id"], set()).add(charge["period"]["start"])
    known = {"_id": of_accounts, "currency": {"$exists": True}}
    async for document in reader.find("rating", "accounts", known, fields=("currency", "time_zone", "billed_from")):
        account = _account(document, cycle_of[document["_id"]])
        if account.owes(due, began.get(account.id, ()), products.get(account.id, ()), books):
            cycle_of[account.id].add(account.id)


def _account(document: Document, cycle: CycleWithoutRun) -> CycleAccount:
    return CycleAccount(document["_id"], document["currency"], document["time_zone"], document.get("billed_from"), cycle.last_run)


def _cycles(reader: Reader) -> Pipeline:
    return [{"$match": {"cycle": {"$exists": True}}}, {"$match": reader.among("cycle")}, {"$group": {"_id": "$cycle"}}]
