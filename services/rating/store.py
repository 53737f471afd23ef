"""What rating stores of usages: `usage` (one per usage id, never touched once rated), `charges` (sums per price and
month) and `suspense` (what waits for an operative).
"""

import base64
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError

from libs.contracts import BillIssued, ChargeState, UsageReceived, UsageRejected
from libs.runtime import Index, Malformed, in_transaction
from services.rating.documents import charge_update, charge_upsert, earlier_answer, rated_document, rejected_document, suspense_document
from services.rating.domain.accumulation import Increment, accumulate
from services.rating.domain.deciding import Decisions, Earlier

NEWEST_FIRST = (("opened_at", -1), ("_id", -1))
INDEXES = (
    Index("charges", NEWEST_FIRST, "TMF678 appliedCustomerBillingRate: list, newest first"),
    Index("charges", (("account_id", 1), *NEWEST_FIRST), "TMF678 rates of a billing account; open charges of an account at its cut"),
    Index("charges", (("bill_id", 1), *NEWEST_FIRST), "TMF678 rates of a bill"),
    Index("charges", (("state", 1), *NEWEST_FIRST), "TMF678 rates by isBilled"),
    Index("charges", (("product_id", 1), *NEWEST_FIRST), "TMF678 rates of a product"),
    Index("suspense", (("state", 1), ("reason", 1), ("_id", 1)), "tarifa suspense list, and retry by reason in order of id"),
    Index("suspense", (("resolved_by", 1), ("_id", 1)), "a retry asked again: what it resolved the first time"),
)
DUPLICATE_KEY = 11000
# Charges known to exist are incremented without saying again what they are.
KNOWN_CHARGES_MAX = 100_000


class Collision(Exception):
    """Somebody was first: a usage of the batch is decided already, or a charge was cut. Look again and go on."""


class BilledTwice(Exception):
    """A charge is on another bill already; the text names both."""


class UsageStore:
    """Usages, their charges and their suspense."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase) -> None:
        self._client = client
        self._usage = store["usage"]
        self._charges = store["charges"]
        self._suspense = store["suspense"]
        self._known_charges: OrderedDict[str, None] = OrderedDict()

    async def find_earlier(self, usages: Iterable[UsageReceived]) -> dict[str, Earlier]:
        """What was decided before, by usage id."""
        found = self._usage.find({"_id": {"$in": [usage.id for usage in usages]}})
        return {document["_id"]: earlier_answer(document) async for document in found}

    async def accounts_of_cut_charges(self, decisions: Decisions) -> set[str]:
        """The accounts of the decisions' charges that take no more usage."""
        ids = {rated.charge_id: rated.account.id for rated in decisions.rated}
        found = self._charges.find({"_id": {"$in": list(ids)}, "state": {"$ne": ChargeState.OPEN.value}}, {"_id": 1})
        return {ids[document["_id"]] async for document in found}

    async def add(self, decisions: Decisions, malformed: Sequence[tuple[Malformed, UsageRejected]], at: datetime) -> None:
        """Store what is new in one transaction. Raises Collision when nothing of it was stored."""
        usages = [rated_document(rated) for rated in decisions.rated]
        usages += [rejected_document(rejected.usage, rejected) for rejected in decisions.rejected if rejected.usage is not None]
        increments = accumulate(decisions.rated)
        updates = [self._charge_write(charge_id, increment, at) for charge_id, increment in increments.items()]
        suspended = [suspense_document(rejected, at) for rejected in (*decisions.rejected, *decisions.conflicting)]
        suspended += [suspense_document(rejected, at, base64.b64encode(bad.record.value or b"").decode()) for bad, rejected in malformed]
        if not usages and not suspended:
            return

        async def write(session: AsyncClientSession) -> None:
            if usages:
                await self._usage.insert_many(usages, ordered=False, session=session)
            if updates:
                await self._write_charges(updates, session)
            if suspended:
                once = [UpdateOne({"_id": entry["_id"]}, {"$setOnInsert": entry}, upsert=True) for entry in suspended]
                await self._suspense.bulk_write(once, ordered=False, session=session)

        try:
            await in_transaction(self._client, write)
        except BulkWriteError as error:
            self._forget_charges(increments)
            _raise_if_not_duplicate(error)
            raise Collision from error
        except Collision:
            self._forget_charges(increments)
            raise
        self._remember_charges(increments)

    async def mark_billed(self, bills: Iterable[BillIssued]) -> None:
        """Charges of these bills become billed. Raises BilledTwice."""
        bill_of = {line.charge_id: bill.id for bill in bills for line in bill.lines}
        writes = [
            UpdateOne(
                {"_id": line.charge_id, "state": ChargeState.CLOSED.value},
                {
                    "$set": {
                        "state": ChargeState.BILLED.value,
                        "bill_id": bill.id,
                        "applied_taxes": [tax.model_dump() for tax in line.taxes],
                        "updated_at": bill.last_update_at,
                    }
                },
            )
            for bill in bills
            for line in bill.lines
        ]
        if not writes:
            return
        result = await self._charges.bulk_write(writes, ordered=False)
        if result.matched_count < len(writes):
            await self._check_billed_once(bill_of)

    async def _check_billed_once(self, bill_of: dict[str, str]) -> None:
        async for charge in self._charges.find({"_id": {"$in": list(bill_of)}}, {"bill_id": 1}):
            bill_id = bill_of.pop(charge["_id"])
            if charge.get("bill_id") != bill_id:
                raise BilledTwice(f"bill {bill_id} has charge {charge['_id']}, which is on bill {charge.get('bill_id')} already")
        if bill_of:
            charge_id, bill_id = next(iter(bill_of.items()))
            raise BilledTwice(f"bill {bill_id} has charge {charge_id}, which rating never made")

    def _charge_write(self, charge_id: str, increment: Increment, at: datetime) -> UpdateOne:
        open_charge = {"_id": charge_id, "state": ChargeState.OPEN.value}
        if charge_id in self._known_charges:
            return UpdateOne(open_charge, charge_update(increment, at))
        return UpdateOne(open_charge, charge_upsert(increment, at), upsert=True)

    async def _write_charges(self, updates: Sequence[UpdateOne], session: AsyncClientSession) -> None:
        result = await self._charges.bulk_write(updates, ordered=False, session=session)
        if result.matched_count + result.upserted_count != len(updates):
            raise Collision

    def _remember_charges(self, charge_ids: Iterable[str]) -> None:
        known = self._known_charges
        for charge_id in charge_ids:
            known[charge_id] = None
        while len(known) > KNOWN_CHARGES_MAX:
            known.popitem(last=False)

    def _forget_charges(self, charge_ids: Iterable[str]) -> None:
        for charge_id in charge_ids:
            self._known_charges.pop(charge_id, None)


def _raise_if_not_duplicate(error: BulkWriteError) -> None:
    details: dict[str, Any] = error.details or {}
    if any(fault["code"] != DUPLICATE_KEY for fault in details["writeErrors"]) or details.get("writeConcernErrors"):
        raise error
