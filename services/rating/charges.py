"""Charges in MongoDB: the sums of rated usage, from the first usage to the bill.

Cuts close them (see cuts.py); nothing else changes a charge. Every increment adds 0 to `seal`, and a cut writes its id
there: a sealed charge cannot be incremented, MongoDB itself refuses the whole transaction.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from pymongo import AsyncMongoClient, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import BillIssued, BillLine, ChargeState
from libs.runtime import in_transaction
from services.rating.collisions import Collision
from services.rating.commands import write_all
from services.rating.compact_cache import CompactSet
from services.rating.documents import charge_update, opened_charge
from services.rating.domain.accumulation import Increment
from services.rating.domain.counted import NOTHING_COUNTED, Counted, add_counted
from services.rating.domain.deciding import Rated, UsageCharge

# Charges that are there are not looked for before they are added to. 10 bytes each: 3 million.
KNOWN_CHARGES_BYTES_MAX = 32 * 2**20
# A command holds 16 MB; an increment of a known charge is 2 KB at most.
UPDATED_AT_A_TIME = 5_000


class ChargeNotForBill(Exception):
    """A bill has a charge that is not for it: it is on another bill, or no cut closed it; the text says which."""


class ChargeStore:
    """The collection `charges`, open and billed."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase) -> None:
        self._client = client
        self._store = store
        self._charges = store["charges"]
        self._accounts = store["accounts"]
        self._known = CompactSet(KNOWN_CHARGES_BYTES_MAX)

    async def add(self, increments: Mapping[str, Increment], at: datetime, session: AsyncClientSession) -> None:
        """Add to open charges, opening those that are missing. Raises Collision, or BulkWriteError when one is sealed."""
        missing = await self._missing([id for id in increments if id not in self._known], session)
        if missing:
            counting = [charge for id in missing if (charge := increments[id].charge).price.tiers is not None]
            await self._refuse_passed(counting, session)
            before = await self._counted_before(counting, session)
            opened = [opened_charge(id, increments[id], at, before.get(id, NOTHING_COUNTED)) for id in missing]
            await self._charges.insert_many(opened, ordered=False, session=session)
        await self._add([(id, increment) for id, increment in increments.items() if id not in missing], at, session)

    async def _missing(self, charge_ids: Sequence[str], session: AsyncClientSession) -> set[str]:
        # An upsert for each would do as well, at twice the price of this and the update.
        if not charge_ids:
            return set()
        found = await self._charges.find({"_id": {"$in": charge_ids}}, {"_id": 1}, session=session).to_list()
        return set(charge_ids) - {document["_id"] for document in found}

    async def _refuse_passed(self, counting: Iterable[UsageCharge], session: AsyncClientSession) -> None:
        """Raise Collision where a cut began another sequence of the month: of two that grow side by side, neither knew the other's tiers.

        Accounts are written to, so that a cut which is being made makes one of the two wait.
        """
        sequences = {(charge.account.id, charge.month.label): charge.sequence for charge in counting}
        if not sequences:
            return
        unpassed = [
            UpdateOne({"_id": id, f"cuts.{label}": sequence or {"$in": [None, 0]}}, {"$inc": {"counting_opened": 1}})
            for (id, label), sequence in sequences.items()
        ]
        if (await self._accounts.bulk_write(unpassed, ordered=False, session=session)).matched_count != len(unpassed):
            raise Collision

    async def _counted_before(self, charges: Iterable[UsageCharge], session: AsyncClientSession) -> dict[str, Counted]:
        """Return the counts of earlier sequences for the tiers of these charges. Earlier sequences are sealed by their cuts."""
        continued = {charge.id: earlier_ids for charge in charges if (earlier_ids := charge.continued_ids)}
        if not continued:
            return {}
        found = await self.counted([id for earlier_ids in continued.values() for id in earlier_ids], session)
        return {id: add_counted(found[one] for one in earlier_ids if one in found) for id, earlier_ids in continued.items()}

    async def counted(self, charge_ids: Sequence[str], session: AsyncClientSession | None) -> dict[str, Counted]:
        """Return the counts of the charges that exist, by id."""
        if not charge_ids:
            return {}
        found = self._charges.find({"_id": {"$in": list(charge_ids)}}, {"quantity": 1, "usage_count": 1}, session=session)
        return {document["_id"]: Counted(document["quantity"], document["usage_count"]) async for document in found}

    async def _add(self, increments: Sequence[tuple[str, Increment]], at: datetime, session: AsyncClientSession) -> None:
        # By id and nothing else: any further condition takes an update off MongoDB's fast path, four times slower.
        for start in range(0, len(increments), UPDATED_AT_A_TIME):
            some = increments[start : start + UPDATED_AT_A_TIME]
            updates = [{"q": {"_id": id}, "u": charge_update(increment, at)} for id, increment in some]
            updated_count = await write_all(self._store, {"update": "charges", "updates": updates, "ordered": False}, session)
            if updated_count != len(updates):
                raise Collision

    @contextmanager
    def known_after(self, charge_ids: Collection[str]) -> Iterator[None]:
        """Remember that these charges exist once what is within has succeeded; if it has not, know nothing of them."""
        try:
            yield
        except BaseException:
            # Or another charge was taken for a known one.
            self._known.discard(charge_ids)
            raise
        self._known.add(charge_ids)

    async def accounts_cut(self, rated: Iterable[Rated]) -> set[str]:
        """The accounts of these usages' charges that take no more usage, or that count the month, of which a cut may have begun another."""
        charges = {charge.id: charge for each in rated for charge in (each.charge, *each.others)}
        account_of = {id: charge.account.id for id, charge in charges.items()}
        counting = {charge.account.id for charge in charges.values() if charge.price.tiers is not None}
        found = self._charges.find({"_id": {"$in": list(account_of)}, "state": {"$ne": ChargeState.OPEN.value}}, {"_id": 1})
        return counting | {account_of[document["_id"]] async for document in found}

    async def mark_billed(self, bills: Sequence[BillIssued]) -> None:
        """The charges of these bills become billed. Raises ChargeNotForBill."""
        claims = _claims(bills)
        if not claims:
            return

        async def mark(session: AsyncClientSession) -> None:
            found = await self._charges.find({"_id": {"$in": list(claims)}}, {"state": 1, "bill_id": 1}, session=session).to_list()
            charges = {charge["_id"]: charge for charge in found}
            # By id alone, MongoDB's fast path: what was read in this transaction stands until its end.
            updates = [
                {"q": {"_id": charge_id}, "u": {"$set": _billed(bill, line)}}
                for charge_id, (bill, line) in claims.items()
                if _is_to_be_billed(charges.get(charge_id), bill, charge_id)
            ]
            for start in range(0, len(updates), UPDATED_AT_A_TIME):
                some = updates[start : start + UPDATED_AT_A_TIME]
                await write_all(self._store, {"update": "charges", "updates": some, "ordered": False}, session)

        await in_transaction(self._client, mark)


def _claims(bills: Iterable[BillIssued]) -> dict[str, tuple[BillIssued, BillLine]]:
    """Return the bill of each charge. Raises ChargeNotForBill when two bills have the same charge. One bill may come twice."""
    claims: dict[str, tuple[BillIssued, BillLine]] = {}
    for bill in bills:
        for line in bill.lines:
            first, _ = claims.setdefault(line.charge_id, (bill, line))
            if first.id != bill.id:
                raise ChargeNotForBill(f"bill {bill.id} has charge {line.charge_id}, which is on bill {first.id} already")
    return claims


def _is_to_be_billed(charge: Mapping[str, Any] | None, bill: BillIssued, charge_id: str) -> bool:
    """False when the charge is on this bill already. Raises ChargeNotForBill."""
    if charge is None:
        raise ChargeNotForBill(f"bill {bill.id} has charge {charge_id}, which rating never made")
    if charge["state"] == ChargeState.CLOSED:
        return True
    if charge["state"] != ChargeState.BILLED:
        raise ChargeNotForBill(f"bill {bill.id} has charge {charge_id}, which is {charge['state']}, not closed for a bill")
    if charge["bill_id"] != bill.id:
        raise ChargeNotForBill(f"bill {bill.id} has charge {charge_id}, which is on bill {charge['bill_id']} already")
    return False


def _billed(bill: BillIssued, line: BillLine) -> dict[str, Any]:
    return {
        "state": ChargeState.BILLED.value,
        "bill_id": bill.id,
        "applied_taxes": [tax.model_dump() for tax in line.taxes],
        "updated_at": bill.last_update_at,
    }
