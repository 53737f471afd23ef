"""Accounts as a batch of cuts finds them: accounts, products and charges, read in three queries.

Two more queries read the fees of accounts whose fees are corrected, and one the charges of earlier cuts where a cut adjusts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import UNBILLED, Charge, ChargeKind, ChargeState, PeriodCut, RunType
from libs.periods import Period
from libs.pricing import RateBooks
from libs.runtime import from_document
from services.rating.directory import Directory
from services.rating.domain.cuts import AccountToCut, adjusted_since, products_at
from services.rating.domain.fees import (
    COMPARED_BACK,
    CORRECTED_BACK,
    FeeHistory,
    FeeReach,
    changed_products,
    fee_reach,
    products_to_correct,
)
from services.rating.store import NEWEST_FIRST

CHARGES_OF_AN_ACCOUNT = [("account_id", 1), *NEWEST_FIRST]
# Of a charge that is billed, a cut must know that it exists.
KNOWN_OF_BILLED = {"_id": "$_id", "account_id": "$account_id", "product_id": "$product_id", "kind": "$kind"}
FEES = (ChargeKind.RECURRING, ChargeKind.ONE_TIME)

ToCut = dict[str, AccountToCut]


class AccountsToCut:
    """Reads from the collections `accounts`, `products`, `charges` and `cuts`."""

    def __init__(self, store: AsyncDatabase, directory: Directory) -> None:
        self._cuts = store["cuts"]
        self._charges = store["charges"]
        self._directory = directory

    async def find(self, cuts: Sequence[PeriodCut], books: RateBooks, now: datetime, session: AsyncClientSession) -> ToCut:
        """Return the accounts of these cuts that are known, by id. One cut per account."""
        accounts = await self._directory.accounts([cut.account_id for cut in cuts], session)
        cut_of = {cut.account_id: cut for cut in cuts if cut.account_id in accounts}
        # Outside the transaction: a product that changes meanwhile is no conflict, for the next cut corrects its fees.
        products, charged_as, unmarked = await self._directory.products_to_charge(cut_of)
        to_cut: ToCut = {}
        for id, cut in cut_of.items():
            held, charged = products.get(id, []), charged_as.get(id, {})
            changed = changed_products(accounts[id], products_at(cut, held), books, charged) if cut.period is not None else {}
            to_cut[id] = AccountToCut(accounts[id], (), held, FeeHistory(unmarked.get(id, ()), charged, changed))
        await self._read_charges(to_cut, cut_of, books, session)
        await self._read_fees_to_correct(to_cut, cut_of, session)
        await self._read_closed_before(to_cut, {id: adjusted_since(to_cut[id], cut, books, now) for id, cut in cut_of.items()}, session)
        return to_cut

    async def _read_charges(self, to_cut: ToCut, cut_of: Mapping[str, PeriodCut], books: RateBooks, session: AsyncClientSession) -> None:
        """Add the unbilled charges and the ids of charged fees."""
        reaches = {
            id: fee_reach(each.account, products_at(cut, each.products), cut.period, books, each.fees)
            for id, cut in cut_of.items()
            if cut.period is not None
            for each in [to_cut[id]]
        }
        pipeline: list[Mapping[str, Any]] = [
            {"$match": {"account_id": {"$in": list(cut_of)}, "$or": _that_matter(reaches)}},
            {"$replaceWith": {"$cond": [{"$in": ["$state", UNBILLED]}, "$$ROOT", KNOWN_OF_BILLED]}},
        ]
        unbilled: dict[str, list[Charge]] = {id: [] for id in cut_of}
        charged_ids: dict[str, set[str]] = {id: set() for id in cut_of}
        charged_products: set[str] = set()
        # Left to itself MongoDB at times walks through all open charges of everybody instead.
        async for document in await self._charges.aggregate(pipeline, session=session, hint=dict(CHARGES_OF_AN_ACCOUNT)):
            id = document["account_id"]
            if "state" in document:
                unbilled[id].append(from_document(Charge, document))
            if document["kind"] in FEES:
                charged_ids[id].add(document["_id"])
            if document["kind"] == ChargeKind.RECURRING:
                charged_products.add(document["product_id"])
        for id, each in to_cut.items():
            # A product that was charged before cuts left marks is not new.
            new_products = frozenset(each.fees.new_products) - charged_products
            fees = replace(each.fees, new_products=new_products, charged_ids=charged_ids[id])
            to_cut[id] = replace(each, unbilled=unbilled[id], fees=fees)

    async def _read_fees_to_correct(self, to_cut: ToCut, cut_of: Mapping[str, PeriodCut], session: AsyncClientSession) -> None:
        """Add the recurring charges and the periods that were cut, of accounts whose fees are corrected."""
        starts = {
            id: cut.period.start
            for id, cut in cut_of.items()
            if cut.period is not None and products_to_correct(to_cut[id].account, to_cut[id].products, cut.period, to_cut[id].fees)
        }
        if not starts:
            return
        first = min(starts.values())
        counting = [{"period.end": {"$gt": first - CORRECTED_BACK}}, {"corrected_from": {"$ne": None}}]
        charges = await self._charges_of(starts, {"kind": ChargeKind.RECURRING.value, "$or": counting}, session)
        cycle = {"run_type": RunType.ON_CYCLE.value, "period.start": {"$gte": first - COMPARED_BACK}}
        periods: dict[str, list[Period]] = {id: [] for id in starts}
        async for cut in self._cuts.find({"account_id": {"$in": list(starts)}, **cycle}, {"account_id": 1, "period": 1}, session=session):
            periods[cut["account_id"]].append(Period(**cut["period"]))
        for id in starts:
            to_cut[id] = replace(to_cut[id], fees=replace(to_cut[id].fees, charges=charges[id], periods_cut=periods[id]))

    async def _read_closed_before(self, to_cut: ToCut, since: Mapping[str, datetime | None], session: AsyncClientSession) -> None:
        """Add what earlier cuts closed and keep, of accounts whose charges are adjusted."""
        adjusted = {id: at for id, at in since.items() if at is not None}
        if not adjusted:
            return
        kept = {"state": {"$in": [ChargeState.CLOSED.value, ChargeState.BILLED.value]}, "period.end": {"$gt": min(adjusted.values())}}
        for id, charges in (await self._charges_of(adjusted, kept, session)).items():
            to_cut[id] = replace(to_cut[id], closed_before=charges)

    async def _charges_of(
        self, account_ids: Iterable[str], query: Mapping[str, Any], session: AsyncClientSession
    ) -> dict[str, list[Charge]]:
        found: dict[str, list[Charge]] = {id: [] for id in account_ids}
        async for document in self._charges.find({"account_id": {"$in": list(found)}, **query}, session=session).hint(
            CHARGES_OF_AN_ACCOUNT
        ):
            found[document["account_id"]].append(from_document(Charge, document))
        return found


def _that_matter(reaches: Mapping[str, FeeReach]) -> list[dict[str, Any]]:
    """Return the conditions of which a charge that matters to a batch of cuts meets one."""
    conditions: list[dict[str, Any]] = [{"state": {"$in": UNBILLED}}]
    for is_deep in (True, False):
        # Apart, for one account that looks back for years would make all others read them.
        since = {id: reach.recurring_since for id, reach in reaches.items() if reach.is_deep is is_deep}
        if since:
            recurring = {"kind": ChargeKind.RECURRING.value, "period.end": {"$gt": min(since.values())}}
            conditions.append({"account_id": {"$in": list(since)}, **recurring})
    if reaches:
        since_first = min(reach.one_time_since for reach in reaches.values())
        conditions.append({"kind": ChargeKind.ONE_TIME.value, "period.end": {"$gt": since_first}})
    return conditions
