"""What usage was priced by: offering, time zone and currency, looked up by the charge that counts it."""

from collections.abc import Iterable, Sequence

from libs.audit.domain.offering_terms import OfferingTerms
from libs.audit.reader import Document, Reader

PRODUCT_FIELDS = ("offering_id", "former_offerings")
CHARGE_FIELDS = ("offering_id", "product_id", "account_id", "price_id", "kind", "period", "sequence", "tiers", "line_rounding")
TAX_FIELDS = ("tax_category", "is_tax_included")
# Charges kept while walking: usages of one customer lie near each other.
KNOWN_MAX = 100_000


class KnownTerms:
    """The terms of charges, looked up once per slice: by the offering that a charge was opened under; and by the product's of today
    and of before, for a charge goes on when a product changes to an offering with a price of the same name."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._terms: dict[str, list[OfferingTerms]] = {}

    async def learn(self, charge_ids: Iterable[str]) -> dict[str, Document]:
        """Look up what a slice needs; answers the charges that were not known."""
        if len(self._terms) > KNOWN_MAX:
            self._terms.clear()
        missing = set(charge_ids) - self._terms.keys()
        if not missing:
            return {}
        charges = await self._by_id("charges", missing, (*CHARGE_FIELDS, *TAX_FIELDS))
        products = await self._by_id("products", {charge["product_id"] for charge in charges.values()}, PRODUCT_FIELDS)
        accounts = await self._by_id("accounts", {charge["account_id"] for charge in charges.values()}, ("time_zone", "currency"))
        for charge_id, charge in charges.items():
            account, product = accounts.get(charge["account_id"]), products.get(charge["product_id"], charge)
            if account is not None:
                formers = [former["offering_id"] for former in product.get("former_offerings", ())]
                offering_ids = dict.fromkeys((charge["offering_id"], product["offering_id"], *formers))
                self._terms[charge_id] = [
                    OfferingTerms(offering_id, account["time_zone"], account["currency"]) for offering_id in offering_ids
                ]
        return charges

    def of(self, charge_id: str) -> Sequence[OfferingTerms]:
        """The terms to try, the likeliest first; none when the charge or its account is not there."""
        return self._terms.get(charge_id, ())

    async def _by_id(self, collection: str, ids: Iterable[str], fields: Sequence[str]) -> dict[str, Document]:
        found = self._reader.find("rating", collection, {"_id": {"$in": list(ids)}}, fields=fields)
        return {document["_id"]: document async for document in found}
