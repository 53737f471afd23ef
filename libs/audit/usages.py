"""Every rated usage priced again by its own rate book and offering, and every other one beside its entry in suspense."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.audit.alignment import align
from libs.audit.domain.difference import Difference
from libs.audit.domain.terms import CountingCharge, check_terms, same_tiers
from libs.audit.domain.usages import check_price, check_suspended, parts_of
from libs.audit.findings import Findings
from libs.audit.reader import Document, Pipeline, Reader
from libs.contracts import ChargeTiers, LineRounding, UsageReceived
from libs.money import sum_exactly
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.allowance import Allowance

PRODUCT_FIELDS = ("offering_id", "former_offerings")
CHARGE_FIELDS = ("offering_id", "product_id", "account_id", "price_id", "kind", "period", "sequence", "tiers", "line_rounding")
TAX_FIELDS = ("tax_category", "is_tax_included")
SLICE = 5_000
# Charges kept while walking: usages of one customer lie near each other.
KNOWN_MAX = 100_000
PRICING_FIELDS = (
    *("identifier", "usage_type", "started_at", "quantity", "unit", "called_number", "characteristics"),
    *("charge_id", "rate_book", "price_id", "charged_quantity", "numerator", "denominator", "currency", "parts", "allowances"),
)


async def audit_prices(reader: Reader, books: RateBooks, findings: Findings) -> None:
    """Price every usage again. Those whose rate book is no longer loaded are counted apart, not compared."""
    known = _Known(reader)
    async for usages in _rated(reader):
        await known.learn(usages)
        for usage in usages:
            findings.checked["usages"] += 1
            terms = known.terms_of(usage)
            if not terms:
                findings.checked["usages of an unknown charge or account, not priced again"] += 1
                continue
            if terms[0].books_of(usage, books) not in ([], _books_of(usage)):
                findings.checked["usages of another rate book, not priced again"] += 1
                continue
            fitting = next((each for each in terms if not any(each.check(usage, books))), None)
            if fitting is None:
                findings.add(*terms[0].check(usage, books))
            else:
                findings.add(*known.check_charges(usage, fitting, books))


async def audit_suspense(reader: Reader, findings: Findings) -> None:
    """Compare usages without a price with the work list."""
    async with reader.snapshot() as now:
        async for suspense_id, (usages, entries) in align(_suspended(now), _entries(now)):
            findings.checked["suspense entries"] += len(entries)
            findings.add(*check_suspended(suspense_id, usages, entries))


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a usage was priced by, as far as pricing asks."""

    offering_id: str
    time_zone: str
    currency: str

    def price(self, usage: Mapping[str, Any], books: RateBooks) -> PricedUsage | RejectedUsage:
        return books.price_usage(self.offering_id, _received(usage), time_zone=self.time_zone, currency=self.currency)

    def books_of(self, usage: Mapping[str, Any], books: RateBooks) -> list[str]:
        """The books that price it now, or the one that refuses to; one that takes effect in the past may do so for what others priced."""
        priced = self.price(usage, books)
        if isinstance(priced, PricedUsage):
            return [part.rate_book for part in priced.parts]
        offering = books.offering(self.offering_id, usage["started_at"], self.currency)
        return [] if offering is None else [offering.rate_book]

    def check(self, usage: Mapping[str, Any], books: RateBooks) -> Iterator[Difference]:
        return check_price(usage, self.price(usage, books), self._allowances(usage, books))

    def _allowances(self, usage: Mapping[str, Any], books: RateBooks) -> dict[str, Allowance]:
        if "allowances" not in usage:
            return {}
        offering = books.offering(self.offering_id, usage["started_at"], self.currency)
        return {} if offering is None else {allowance.id: allowance for allowance in offering.allowances}


class _Known:
    """The terms of charges, looked up once per slice: by the offering that a charge was opened under; and by the product's of today
    and of before, for a charge goes on when a product changes to an offering with a price of the same name."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._terms: dict[str, list[_Terms]] = {}
        self._charges: dict[str, CountingCharge] = {}

    async def learn(self, usages: Sequence[Document]) -> None:
        """Look up what the slice needs."""
        if len(self._terms) > KNOWN_MAX:
            self._terms.clear()
            self._charges.clear()
        missing = {part["charge_id"] for usage in usages for part in parts_of(usage)} - self._terms.keys()
        if not missing:
            return
        charges = await self._by_id("charges", missing, (*CHARGE_FIELDS, *TAX_FIELDS))
        for charge_id, charge in charges.items():
            self._charges[charge_id] = await self._counting(charge)
        products = await self._by_id("products", {charge["product_id"] for charge in charges.values()}, PRODUCT_FIELDS)
        accounts = await self._by_id("accounts", {charge["account_id"] for charge in charges.values()}, ("time_zone", "currency"))
        for charge_id, charge in charges.items():
            account, product = accounts.get(charge["account_id"]), products.get(charge["product_id"], charge)
            if account is not None:
                formers = [former["offering_id"] for former in product.get("former_offerings", ())]
                offering_ids = dict.fromkeys((charge["offering_id"], product["offering_id"], *formers))
                self._terms[charge_id] = [_Terms(offering_id, account["time_zone"], account["currency"]) for offering_id in offering_ids]

    def terms_of(self, usage: Mapping[str, Any]) -> Sequence[_Terms]:
        """The terms to try, the likeliest first; none when its charge or account is not there."""
        return self._terms.get(usage["charge_id"], ())

    def check_charges(self, usage: Mapping[str, Any], terms: _Terms, books: RateBooks) -> Iterator[Difference]:
        """Compare each charge, with the first usage that it counts, with the terms of its price."""
        parts = parts_of(usage)
        if not any(part["charge_id"] in self._charges for part in parts):
            return
        priced = terms.price(usage, books)
        assert isinstance(priced, PricedUsage), f"usage {usage['_id']} has the price that its terms give it"
        for part, each in zip(parts, priced.parts, strict=True):
            charge = self._charges.pop(part["charge_id"], None)
            if charge is not None:
                yield from check_terms(charge, each.price)

    async def _counting(self, charge: Document) -> CountingCharge:
        tiers = None if charge.get("tiers") is None else ChargeTiers.model_validate(charge["tiers"])
        rounding = None if charge.get("line_rounding") is None else LineRounding.model_validate(charge["line_rounding"])
        before, usage_count_before = Decimal(0), 0
        if tiers is not None and charge["sequence"]:
            same = {field: charge[field] for field in ("account_id", "product_id", "offering_id", "price_id", "kind")}
            is_included = True if charge.get("is_tax_included") else {"$ne": True}
            same |= {"tax_category": charge.get("tax_category"), "is_tax_included": is_included}
            earlier = {**same, "period.start": charge["period"]["start"], "sequence": {"$lt": charge["sequence"]}}
            found = self._reader.find("rating", "charges", earlier, fields=("quantity", "usage_count", "tiers"))
            counted = [each async for each in found if same_tiers(each.get("tiers"), tiers)]
            before = sum_exactly(each["quantity"] for each in counted)
            usage_count_before = sum(each["usage_count"] for each in counted)
        return CountingCharge(charge["_id"], tiers, rounding, before, usage_count_before)

    async def _by_id(self, collection: str, ids: Iterable[str], fields: Sequence[str]) -> dict[str, Document]:
        found = self._reader.find("rating", collection, {"_id": {"$in": list(ids)}}, fields=fields)
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


def _books_of(usage: Mapping[str, Any]) -> list[str]:
    return [part["rate_book"] for part in parts_of(usage)]


def _received(usage: Mapping[str, Any]) -> UsageReceived:
    return UsageReceived(
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
