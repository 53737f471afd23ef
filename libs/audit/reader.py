"""Reading the databases of all services in order, as a stream, while the services go on writing.

Nothing is read at one point in time: MongoDB keeps no past of documents that change with every batch. So what is read at different
moments may disagree, and `libs.audit.looks` looks at every difference again. No sorted cursor waits while another one is read: pages
by `_id` are queries of their own, and every other order goes through a file on disk. Memory stays bounded however much there is.
Documents come in batches of BSON, and are decoded a batch at a time: one by one, the driver takes twice as long for each.
"""

import struct
import tempfile
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from bson import decode_all
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from libs.runtime.mongo import CODEC_OPTIONS, connect, database
from libs.runtime.settings import RuntimeSettings

READ_BATCH = 5_000
# What a stream keeps in memory before it goes on in a file.
SPOOL_BYTES_MAX = 16 * 1024 * 1024
_LENGTH = struct.Struct("<Q")
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

    def includes(self, key: str) -> bool:
        """Return whether what belongs to a key is looked at."""
        return self._only is None or key in self._only

    async def batches(
        self, service: str, collection: str, query: Mapping[str, Any], *, fields: Sequence[str]
    ) -> AsyncIterator[list[Document]]:
        """Yield the documents of a query in the order in which they lie, some thousands at a time, with these fields."""
        async for batch in self._collection(service, collection).find_raw_batches(query, dict.fromkeys(fields, 1), batch_size=READ_BATCH):
            yield _decoded(batch)

    async def find(
        self, service: str, collection: str, query: Mapping[str, Any] | None = None, *, fields: Sequence[str] = (), sort: str | None = None
    ) -> AsyncIterator[Document]:
        """The documents of a query, with only these fields when any are named, in ascending order of `sort`."""
        projection = dict.fromkeys(fields, 1) or None
        documents = self._collection(service, collection)
        if sort == "_id":
            batches = _paged(documents, query or {}, projection)
        else:
            found = documents.find_raw_batches(query or {}, projection, batch_size=READ_BATCH)
            batches = _spooled(found.sort(sort, 1).allow_disk_use(True) if sort else found)
        async for batch in batches:
            for document in batch:
                yield document

    async def aggregate(self, service: str, collection: str, pipeline: Pipeline) -> AsyncIterator[Document]:
        """The results of a pipeline; large sorts and groups go to disk."""
        stages = [stage for stage in pipeline if stage != {"$match": {}}]
        results = await self._collection(service, collection).aggregate_raw_batches(stages, allowDiskUse=True, batchSize=READ_BATCH)
        async for batch in _spooled(results):
            for document in batch:
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


def _decoded(batch: bytes) -> list[Document]:
    return decode_all(batch, CODEC_OPTIONS)


async def _paged(
    documents: AsyncCollection, query: Mapping[str, Any], projection: Mapping[str, int] | None
) -> AsyncIterator[list[Document]]:
    """Yield a query's results in order of `_id`. A page is one batch, which MongoDB cuts at 16 MB."""
    following: dict[str, Any] = {}
    while True:
        found = documents.find_raw_batches({"$and": [query, following]}, projection, batch_size=READ_BATCH).sort("_id", 1)
        page = _decoded(await anext(found, b""))
        is_last = not found.alive
        await found.close()
        yield page
        if is_last:
            return
        following = {"_id": {"$gt": page[-1]["_id"]}}


async def _spooled(results: AsyncIterator[bytes]) -> AsyncIterator[list[Document]]:
    """Read a cursor to its end at once, and yield its batches as they are asked for."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES_MAX) as spool:
        async for batch in results:
            spool.write(_LENGTH.pack(len(batch)))
            spool.write(batch)
        spool.seek(0)
        while length := spool.read(_LENGTH.size):
            yield _decoded(spool.read(*_LENGTH.unpack(length)))


@asynccontextmanager
async def open_reader(settings: RuntimeSettings) -> AsyncIterator[Reader]:
    """A reader with its connection, closed at the end."""
    client = connect(settings)
    try:
        yield Reader(settings, client)
    finally:
        await client.close()
