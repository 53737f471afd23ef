"""Rendered documents in the GridFS bucket `documents`, readable by any GridFS reader under their derived ids."""

from datetime import datetime

from bson import Binary
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import BillDocument
from libs.runtime import in_transaction
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there

BUCKET = "documents"
# GridFS's own default; a bill of four lines is 40 kB, so most documents are one chunk.
CHUNK_BYTES = 255 * 1024


class DocumentStore:
    """The only writer of the bucket. A document is written once, whole or not at all."""

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._files = database[f"{BUCKET}.files"]
        self._chunks = database[f"{BUCKET}.chunks"]

    async def size_bytes(self, document_id: str) -> int | None:
        """The size of a document, or None when it was not rendered yet."""
        file = await self._files.find_one({"_id": document_id}, {"length": 1})
        return file["length"] if file else None

    async def add(self, document: BillDocument, body: bytes, at: datetime) -> int:
        """Keep a document and return its size, or that of the one that is there already."""
        file = {
            "_id": document.id,
            "length": len(body),
            "chunkSize": CHUNK_BYTES,
            "uploadDate": at,
            "filename": document.name,
            "metadata": {"contentType": document.mime_type},
        }
        chunks = [
            {"files_id": document.id, "n": number, "data": Binary(body[start : start + CHUNK_BYTES])}
            for number, start in enumerate(range(0, len(body), CHUNK_BYTES))
        ]

        async def insert(session: AsyncClientSession) -> None:
            await self._files.insert_one(file, session=session)
            await self._chunks.insert_many(chunks, session=session)

        # Not GridFS's own upload: it takes no transaction, and a crash halfway leaves chunks that block the next try.
        try:
            with ids_may_be_there():
                await in_transaction(self._client, insert)
        except AlreadyThere:
            return await self.size_bytes(document.id) or len(body)
        return len(body)
