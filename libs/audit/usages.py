"""Every rated usage priced again by its own rate book, and every other one beside its entry in suspense."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.audit.alignment import align
from libs.audit.domain.usages import check_price, check_suspended
from libs.audit.findings import Findings
from libs.audit.reader import Document, Pipeline, Reader
from libs.contracts import UsageReceived
from libs.pricing import PricedUsage, RateBooks

SLICE = 5_000
# Products and accounts kept while walking: usages of one customer lie near each other.
KNOWN_MAX = 100_000
PRICING_FIELDS = (
    *("identifier", "usage_type", "started_at", "quantity", "unit", "called_number", "characteristics"),
    *("product_id", "account_id", "rate_book", "price_id", "charged_quantity", "numerator", "denominator", "currency"),
)


async def audit_prices(reader: Reader, books: RateBooks, findings: Findings) -> None:
    """Price every usage again. Those whose rate book is no longer loaded are counted apart, not compared."""
    payers = _Payers(reader)
    async for usages in _rated(reader):
        await payers.learn(usages)
        for usage in usages:
            findings.checked["usages"] += 1
            payer = payers.of(usage)
            priced = (
                books.price_usage(payer.offering_id, _received(usage), time_zone=payer.time_zone, currency=payer.currency)
                if payer
                else None
            )
            if priced is None or (isinstance(priced, PricedUsage) and priced.rate_book != usage["rate_book"]):
                findings.checked["usages of another rate book, not priced again"] += 1
            else:
                findings.add(*check_price(usage, priced))


async def audit_suspense(reader: Reader, findings: Findings) -> None:
    """Compare usages without a price with the work list."""
    async with reader.snapshot() as now:
        async for suspense_id, (usages, entries) in align(_suspended(now), _entries(now)):
            findings.checked["suspense entries"] += len(entries)
            findings.add(*check_suspended(suspense_id, usages, entries))


@dataclass(frozen=True, slots=True)
class _Payer:
    """Whose usage it is, as far as pricing asks."""

    offering_id: str
    time_zone: str
    currency: str


class _Payers:
    """Products with their accounts, looked up once per slice."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._payers: dict[tuple[str, str], _Payer] = {}

    async def learn(self, usages: Sequence[Document]) -> None:
        missing = {(usage["product_id"], usage["account_id"]) for usage in usages} - self._payers.keys()
        if not missing:
            return
        if len(self._payers) > KNOWN_MAX:
            self._payers.clear()
            missing = {(usage["product_id"], usage["account_id"]) for usage in usages}
        products = await self._by_id("products", [product for product, _ in missing], ("offering_id",))
        accounts = await self._by_id("accounts", [account for _, account in missing], ("time_zone", "currency"))
        for product_id, account_id in missing:
            if product_id in products and account_id in accounts:
                account = accounts[account_id]
                payer = _Payer(products[product_id]["offering_id"], account["time_zone"], account["currency"])
                self._payers[product_id, account_id] = payer

    def of(self, usage: Mapping[str, Any]) -> _Payer | None:
        return self._payers.get((usage["product_id"], usage["account_id"]))

    async def _by_id(self, collection: str, ids: Sequence[str], fields: Sequence[str]) -> dict[str, Document]:
        found = self._reader.find("rating", collection, {"_id": {"$in": list(set(ids))}}, fields=fields)
        return {document["_id"]: document async for document in found}


async def _rated(reader: Reader) -> AsyncIterator[list[Document]]:
    usages: list[Document] = []
    async for usage in reader.find("rating", "usage", {"charge_id": {"$exists": True}}, fields=PRICING_FIELDS):
        usages.append(usage)
        if len(usages) == SLICE:
            yield usages
            usages = []
    if usages:
        yield usages


def _received(usage: Mapping[str, Any]) -> UsageReceived:
    # Only what pricing asks for, and not validated again: it was when it came.
    return UsageReceived.model_construct(
        id=usage["_id"],
        identifier=usage["identifier"],
        usage_type=usage["usage_type"],
        started_at=usage["started_at"],
        quantity=Decimal(usage["quantity"]),
        unit=usage["unit"],
        called_number=usage.get("called_number"),
        characteristics=usage.get("characteristics", {}),
    )


async def _suspended(reader: Reader) -> AsyncIterator[tuple[str, str]]:
    pipeline: Pipeline = [{"$match": {"suspense_id": {"$exists": True}}}, {"$project": {"suspense_id": 1}}, {"$sort": {"suspense_id": 1}}]
    async for usage in reader.aggregate("rating", "usage", pipeline):
        yield usage["suspense_id"], usage["_id"]


async def _entries(reader: Reader) -> AsyncIterator[tuple[str, Document]]:
    async for entry in reader.find("rating", "suspense", fields=("state", "reason"), sort="_id"):
        yield entry["_id"], entry
