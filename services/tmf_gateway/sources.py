"""What the gateway reads: pages of any collection, and other services' collections, which it never writes."""

import re
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

from gridfs import NoFile
from gridfs.asynchronous import AsyncGridFSBucket, AsyncGridOut
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import database
from services.tmf_gateway.domain.launching import BOOK_IDS
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.mongo_filter import mongo_filter, mongo_sort
from services.tmf_gateway.domain.paging import Page
from services.tmf_gateway.domain.query import Query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Resource

# A filter that no index serves must not keep the database busy for ever.
QUERY_TIME_MS_MAX = 10_000
_INVALID_REGEX_CODES = (51091, 51108)
_TIME_EXCEEDED_CODE = 50


class Sources:
    """Bills, charges, rate books, balances and rendered documents, each from the service that owns it."""

    def __init__(self, client: AsyncMongoClient, settings: RuntimeSettings) -> None:
        invoicing = database(client, settings, "invoicing")
        self.bills = invoicing["bills"]
        rating = database(client, settings, "rating")
        self.charges = rating["charges"]
        self._tariffs = rating["tariffs"]
        self._balances = database(client, settings, "ledger")["balances"]
        self._documents = AsyncGridFSBucket(invoicing, "documents")

    async def tariffs(self) -> list[dict[str, Any]]:
        """The rate books that rating prices by, but for those that the catalogue itself has published."""
        return await self._tariffs.find({"_id": {"$not": re.compile(f"^{BOOK_IDS.pattern}$")}}).to_list()

    async def has_offering(self, id: str) -> bool:
        """Whether a rate book that rating prices by has an offering, from now on or from a day to come."""
        return await self._tariffs.find_one({"offering_ids": id}, {"_id": 1}) is not None

    async def offering_ids(self) -> list[str]:
        """Return the ids of all offerings of rating's books, sorted."""
        return sorted(await self._tariffs.distinct("offering_ids"))

    async def has_charges(self, **of: str) -> bool:
        """Return whether rating has charges of a product, or of an account."""
        return await self.charges.find_one(of, {"_id": 1}) is not None

    async def is_account_billed(self, account_id: str) -> bool:
        """Return whether an account has charges, bills or a balance."""
        of = {"account_id": account_id}
        return await self.has_charges(**of) or any(
            [await collection.find_one(of, {"_id": 1}) is not None for collection in (self.bills, self._balances)]
        )

    async def document(self, id: str) -> AsyncGridOut | None:
        """A rendered document, open for reading; None when it was not rendered yet."""
        try:
            return await self._documents.open_download_stream(id)
        except NoFile:
            return None

    async def balances(self, account_ids: Sequence[str]) -> dict[str, dict[str, Decimal]]:
        """What each account owes, by currency."""
        owed: dict[str, dict[str, Decimal]] = {}
        async for balance in self._balances.find({"account_id": {"$in": list(account_ids)}}):
            owed.setdefault(balance["account_id"], {})[balance["currency"]] = balance["receivable"]
        return owed


async def read_page(
    collection: AsyncCollection, resource: Resource, query: Query, links: Links, only: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], Page]:
    """The documents that a query wants, and where they lie among all matches. `only` narrows what there is to match."""
    wanted = mongo_filter(query, resource, links)
    if only:
        wanted = {"$and": [only, wanted]} if wanted else only
    sort = mongo_sort(query, resource)
    try:
        documents = [document async for document in _find(collection, resource, query, wanted, sort)]
        total = await _total(collection, query, wanted, len(documents))
    except OperationFailure as error:
        if error.code in _INVALID_REGEX_CODES:
            raise BadRequest("the regular expression is not a valid one") from None
        if error.code == _TIME_EXCEEDED_CODE:
            raise BadRequest(f"the query took longer than {QUERY_TIME_MS_MAX} ms: narrow it down") from None
        raise
    return documents, Page(query, len(documents), total)


async def _find(
    collection: AsyncCollection, resource: Resource, query: Query, wanted: dict[str, Any], sort: list[tuple[str, int]]
) -> AsyncIterator[dict[str, Any]]:
    # MongoDB takes a limit of 0 for none, and refuses a skip beyond 64 bits.
    if query.limit == 0 or query.offset >= 2**62:
        return
    projection = dict.fromkeys(resource.unread, False) or None
    found = collection.find(wanted, projection, sort=sort, skip=query.offset, limit=query.limit, batch_size=query.limit + 1)
    async for document in found.max_time_ms(QUERY_TIME_MS_MAX):
        yield document


async def _total(collection: AsyncCollection, query: Query, wanted: dict[str, Any], result_count: int) -> int:
    last_page = result_count < query.limit and (result_count or not query.offset)
    if last_page:
        return query.offset + result_count
    # Without a filter, counting keys of the id index is far cheaper than reading documents.
    hint: dict[str, Any] = {} if wanted else {"hint": "_id_"}
    return await collection.count_documents(wanted, maxTimeMS=QUERY_TIME_MS_MAX, **hint)
