"""Reading the databases of all services in order, as a stream, while the services go on writing.

Nothing is read at one point in time: MongoDB keeps no past of documents that change with every batch. So what is read at different
moments may disagree, and `libs.audit.looks` looks at every difference again. No cursor waits while another one is read: pages by
`_id` are queries of their own, and every other order goes through a file on disk. Memory stays bounded however much there is.
"""

import pickle
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from libs.runtime.mongo import connect, database
from libs.runtime.settings import RuntimeSettings

READ_BATCH = 5_000
# What a stream keeps in memory before it goes on in a file.
SPOOL_BYTES_MAX = 16 * 1024 * 1024
Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]


class Reader:
    """Reads collections, named by service and collection; `only` limits a step to what belongs to these keys."""

    def __init__(self, settings: RuntimeSettings, client: AsyncMongoClient, only: Collection[str] | None = None) -> None:
        self._settings = settings
        self._client = client
        self._only = only

    def limited_to(self, keys: Collection[str]) -> "Reader":
        """Return a reader for another look at what belongs to these keys."""
        return Reader(self._settings, self._client, keys)

    def among(self, field: str) -> dict[str, Any]:
        """Return the condition that a field has one of the keys to look at, or none when all are."""
        return {} if self._only is None else {field: {"$in": list(self._only)}}

    async def find(
        self, service: str, collection: str, query: Mapping[str, Any] | None = None, *, fields: Sequence[str] = (), sort: str | None = None
    ) -> AsyncIterator[Document]:
        """The documents of a query, with only these fields when any are named, in ascending order of `sort`."""
        projection = dict.fromkeys(fields, 1) or None
        documents = self._collection(service, collection)
        if sort == "_id":
            async for document in _paged(documents, query or {}, projection):
                yield document
            return
        found = documents.find(query or {}, projection, batch_size=READ_BATCH)
        async for document in _spooled(found.sort(sort, 1).allow_disk_use(True)) if sort else found:
            yield document

    async def aggregate(self, service: str, collection: str, pipeline: Pipeline) -> AsyncIterator[Document]:
        """The results of a pipeline; large sorts and groups go to disk."""
        stages = [stage for stage in pipeline if stage != {"$match": {}}]
        results = await self._collection(service, collection).aggregate(stages, allowDiskUse=True, batchSize=READ_BATCH)
        async for document in _spooled(results):
            yield document

    async def count(self, service: str, collection: str) -> int:
        """Return about how many documents a collection has."""
        return await self._collection(service, collection).estimated_document_count()

    def _collection(self, service: str, collection: str) -> AsyncCollection:
        return database(self._client, self._settings, service)[collection]


async def in_slices(documents: AsyncIterator[Document], size: int) -> AsyncIterator[list[Document]]:
    """Yield documents so many at a time."""
    found: list[Document] = []
    async for document in documents:
        found.append(document)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found


async def _paged(documents: AsyncCollection, query: Mapping[str, Any], projection: Mapping[str, int] | None) -> AsyncIterator[Document]:
    following: dict[str, Any] = {}
    while True:
        found = documents.find({"$and": [query, following]}, projection).sort("_id", 1).limit(READ_BATCH)
        page = await found.to_list()
        for document in page:
            yield document
        if len(page) < READ_BATCH:
            return
        following = {"_id": {"$gt": page[-1]["_id"]}}


async def _spooled(results: Any) -> AsyncIterator[Document]:
    """Read a cursor to its end at once, and tell its documents as they are asked for."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES_MAX) as spool:
        count = 0
        async for document in results:
            pickle.dump(document, spool, pickle.HIGHEST_PROTOCOL)
            count += 1
        spool.seek(0)
        for _ in range(count):
            yield pickle.load(spool)


@asynccontextmanager
async def open_reader(settings: RuntimeSettings) -> AsyncIterator[Reader]:
    """A reader with its connection, closed at the end."""
    client = connect(settings)
    try:
        yield Reader(settings, client)
    finally:
        await client.close()
