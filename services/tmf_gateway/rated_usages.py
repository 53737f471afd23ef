"""Rated usages with what explains them: re-ratings, charges, accounts, products and rate books, all of them as rating has them."""

from collections import OrderedDict
from typing import Any

from pymongo import AsyncMongoClient

from libs.pricing import RateBook, RateBooks, parse_rate_book
from libs.pricing.books_alone import alone
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import database
from services.tmf_gateway.domain.refusal import NotFound
from services.tmf_gateway.domain.usage_explanation import RatedUsage, parts_of

# A book of a hundred thousand prefixes takes a second to read, and 100 MB to keep.
BOOKS_KEPT_MAX = 20


class RatedUsages:
    """Reads rating's collections; none of them is written."""

    def __init__(self, client: AsyncMongoClient, settings: RuntimeSettings) -> None:
        rating = database(client, settings, "rating")
        self._usage = rating["usage"]
        self._reratings = rating["reratings"]
        self._charges = rating["charges"]
        self._accounts = rating["accounts"]
        self._products = rating["products"]
        self._tariffs = rating["tariffs"]
        self._books: OrderedDict[str, RateBook] = OrderedDict()

    async def find(self, usage_id: str) -> RatedUsage:
        """A usage that has a price. Raises NotFound."""
        usage = await self._usage.find_one({"_id": usage_id})
        if usage is None:
            raise NotFound(f"there is no usage {usage_id}")
        if "account_id" not in usage:
            raise NotFound(f"usage {usage_id} has no price: it waits in suspense, {usage['reason']}")
        reratings = await self._reratings.find({"usage_id": usage_id}).sort("number", 1).to_list()
        parts = parts_of(usage, reratings)
        charge = await _one(self._charges, parts[0]["charge_id"], "offering_id")
        product = await _one(self._products, usage["product_id"], "offering_id")
        account = await _one(self._accounts, usage["account_id"], "time_zone")
        offering_ids = list(dict.fromkeys(document["offering_id"] for document in (charge, product) if document))
        return RatedUsage(usage, parts, reratings, offering_ids, account["time_zone"])

    async def books_of(self, rated: RatedUsage) -> RateBooks:
        """The rate books that priced a usage. A single one holds whenever it takes effect, for it may have been asked for by name.
        Raises NotFound."""
        books = [await self._book(id) for id in dict.fromkeys(part["rate_book"] for part in rated.parts)]
        return alone(books[0]) if len(books) == 1 else RateBooks(books)

    async def _book(self, id: str) -> RateBook:
        document = await self._tariffs.find_one({"_id": id}, {"publication_id": 1, "text": 1, "file": 1})
        if document is None:
            raise NotFound(f"rating no longer has rate book {id}, which priced the usage")
        publication_id = document["publication_id"]
        book = self._books.get(publication_id)
        if book is None:
            book = self._books[publication_id] = parse_rate_book(document["text"], document["file"])
            while len(self._books) > BOOKS_KEPT_MAX:
                self._books.popitem(last=False)
        else:
            self._books.move_to_end(publication_id)
        return book


async def _one(collection: Any, id: str, *fields: str) -> dict[str, Any]:
    return await collection.find_one({"_id": id}, dict.fromkeys(fields, 1)) or {}
