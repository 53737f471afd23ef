"""Reading the databases of all services in order, as a stream.

With a snapshot everything is read as it was at the first read, so that what belongs together agrees although the services
go on writing; MongoDB keeps that for five minutes by default. What is written once and never changed needs none.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from libs.runtime.mongo import connect, database
from libs.runtime.settings import RuntimeSettings

READ_BATCH = 5_000
Document = dict[str, Any]
Pipeline = Sequence[Mapping[str, Any]]


class Reader:
    """Reads collections, named by service and collection."""

    def __init__(self, settings: RuntimeSettings, client: AsyncMongoClient, session: AsyncClientSession | None = None) -> None:
        self._settings = settings
        self._client = client
        self._session = session

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator["Reader"]:
        """A reader of one point in time."""
        async with self._client.start_session(snapshot=True) as session:
            yield Reader(self._settings, self._client, session)

    async def find(
        self, service: str, collection: str, query: Mapping[str, Any] | None = None, *, fields: Sequence[str] = (), sort: str | None = None
    ) -> AsyncIterator[Document]:
        """The documents of a query, with only these fields when any are named, in ascending order of `sort`."""
        found = self._collection(service, collection).find(
            query or {}, dict.fromkeys(fields, 1) or None, session=self._session, batch_size=READ_BATCH
        )
        async for document in found.sort(sort, 1).allow_disk_use(True) if sort else found:
            yield document

    async def aggregate(self, service: str, collection: str, pipeline: Pipeline) -> AsyncIterator[Document]:
        """The results of a pipeline; large sorts and groups go to disk."""
        results = await self._collection(service, collection).aggregate(
            list(pipeline), session=self._session, allowDiskUse=True, batchSize=READ_BATCH
        )
        async for document in results:
            yield document

    def _collection(self, service: str, collection: str) -> AsyncCollection:
        return database(self._client, self._settings, service)[collection]


@asynccontextmanager
async def open_reader(settings: RuntimeSettings) -> AsyncIterator[Reader]:
    """A reader with its connection, closed at the end."""
    client = connect(settings)
    try:
        yield Reader(settings, client)
    finally:
        await client.close()
