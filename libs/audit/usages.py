"""Every rated usage priced again by its own rate book and offering, and every other one beside its entry in suspense."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from libs.audit.alignment import align
from libs.audit.domain.difference import Difference
from libs.audit.domain.offering_terms import OfferingTerms
from libs.audit.domain.terms import CountingCharge, check_terms, same_tiers
from libs.audit.domain.usages import check_price, check_suspended, parts_of
from libs.audit.findings import Findings
from libs.audit.known_terms import KNOWN_MAX, KnownTerms
from libs.audit.reader import Document, Pipeline, Reader
from libs.contracts import ChargeTiers, LineRounding
from libs.money import sum_exactly
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.books_alone import each_alone

PRICING_FIELDS = (
    *("identifier", "usage_type", "started_at", "quantity", "unit", "called_number", "characteristics"),
    *("charge_id", "rate_book", "price_id", "charged_quantity", "numerator", "denominator", "currency", "parts", "allowances"),
)
# The terms of an offering, and what a usage costs by them.
Outcome = tuple[OfferingTerms, PricedUsage | RejectedUsage]


async def audit_prices(books: RateBooks, reader: Reader, findings: Findings) -> None:
    """Price every usage again. Where nobody can tell any more by which books, it is counted apart and not compared."""
    known, counting, alone = KnownTerms(reader), _CountingCharges(reader), each_alone(books)
    async for usages in reader.batches("rating", "usage", {"charge_id": {"$exists": True}, **reader.among("_id")}, fields=PRICING_FIELDS):
        await counting.add(await known.learn({part["charge_id"] for usage in usages for part in parts_of(usage)}))
        for usage in usages:
            findings.checked["usages"] += 1
            terms = known.of(usage["charge_id"])
            if not terms:
                findings.checked["usages of an unknown charge or account, not priced again"] += 1
                continue
            now = terms[0].price(usage, books)
            by = _priced_by(usage, terms[0].books_of(usage, now, books), books, alone)
            if by is None:
                findings.checked["usages of another rate book, not priced again"] += 1
                continue
            outcomes = ((each, now if each is terms[0] and by is books else each.price(usage, by)) for each in terms)
            findings.add(*_check(usage, outcomes, by, counting), key=usage["_id"])


async def audit_suspense(reader: Reader, findings: Findings) -> None:
    """Compare usages without a price with the work list."""
    async for suspense_id, (usages, entries) in align(_suspended(reader), _entries(reader)):
        findings.checked["suspense entries"] += len(entries)
        findings.add(*check_suspended(suspense_id, usages, entries), key=suspense_id)


def _priced_by(usage: Document, now: Sequence[str], books: RateBooks, alone: Mapping[str, RateBooks]) -> RateBooks | None:
    """Return the books of today, or by itself the one that a usage names, where another was published since for the time in which it began.

    `now` are the books that price it today. None when the book that it names is not loaded, or several that are not today's priced a
    usage that was split.
    """
    named = [part["rate_book"] for part in parts_of(usage)]
    if now in ([], named):
        return books
    return alone.get(named[0]) if len(set(named)) == 1 else None


def _check(usage: Document, outcomes: Iterable[Outcome], books: RateBooks, counting: "_CountingCharges") -> Sequence[Difference]:
    """Return what differs from the likeliest outcome, unless another one fits."""
    likeliest: Sequence[Difference] = ()
    for terms, priced in outcomes:
        allowances = terms.allowances(usage["started_at"], books) if "allowances" in usage else {}
        differences = list(check_price(usage, priced, allowances))
        if not differences:
            return list(counting.check(usage, priced))
        likeliest = likeliest or differences
    return likeliest


class _CountingCharges:
    """Charges that were not compared with the terms of their price yet: the first usage that each counts does it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._charges: dict[str, CountingCharge] = {}

    async def add(self, charges: Mapping[str, Document]) -> None:
        """Learn what charges that were just met say."""
        if len(self._charges) > KNOWN_MAX:
            self._charges.clear()
        for charge_id, charge in charges.items():
            self._charges[charge_id] = await self._counting(charge)

    def check(self, usage: Document, priced: PricedUsage | RejectedUsage) -> Iterator[Difference]:
        """Compare the charges of a usage that has this price."""
        parts = parts_of(usage)
        if not any(part["charge_id"] in self._charges for part in parts):
            return
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


async def _suspended(reader: Reader) -> AsyncIterator[tuple[str, str]]:
    pipeline: Pipeline = [
        {"$match": {"suspense_id": {"$exists": True}, **reader.among("suspense_id")}},
        {"$project": {"suspense_id": 1}},
        {"$sort": {"suspense_id": 1}},
    ]
    async for usage in reader.aggregate("rating", "usage", pipeline):
        yield usage["suspense_id"], usage["_id"]


async def _entries(reader: Reader) -> AsyncIterator[tuple[str, Document]]:
    async for entry in reader.find("rating", "suspense", reader.among("_id"), fields=("state", "reason"), sort="_id"):
        yield entry["_id"], entry
