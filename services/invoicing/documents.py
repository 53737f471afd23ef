"""Rendered documents in the GridFS bucket `documents`, readable by any GridFS reader under their derived ids."""

from datetime import datetime

from bson import Binary
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import BillDocument
from libs.runtime import in_transaction
from libs.runtime.mongo_errors import AlreadyThere, ids_may_be_there
from services.invoicing.rendering import RenderedBill

BUCKET = "documents"
LACKING = "lacking_glyphs"
# GridFS's own default; a bill of four lines is 40 kB, so most documents are one chunk.
CHUNK_BYTES = 255 * 1024


class DocumentStore:
    """The only writer of the bucket. A document is written once, whole or not at all; only one that lacked glyphs may be rendered anew.

    `lacking_glyphs` has an entry for each document with empty boxes: its id, its bill and the texts that no font had.
    """

    def __init__(self, client: AsyncMongoClient, database: AsyncDatabase) -> None:
        self._client = client
        self._files = database[f"{BUCKET}.files"]
        self._chunks = database[f"{BUCKET}.chunks"]
        self._lacking = database[LACKING]

    async def size_bytes(self, document_id: str) -> int | None:
        """The size of a document, or None when it was not rendered yet."""
        file = await self._files.find_one({"_id": document_id}, {"length": 1})
        return file["length"] if file else None

    async def lacks_glyphs(self, document_id: str) -> bool:
        """Whether a document has empty boxes in place of texts that no font had when it was rendered."""
        return await self._lacking.find_one({"_id": document_id}, {"_id": 1}) is not None

    async def add(self, document: BillDocument, rendered: RenderedBill, bill_id: str, at: datetime) -> int:
        """Keep a document and return its size, or that of the one that is there already."""

        async def insert(session: AsyncClientSession) -> None:
            await self._insert(document, rendered, bill_id, at, session)

        # Not GridFS's own upload: it takes no transaction, and a crash halfway leaves chunks that block the next try.
        try:
            with ids_may_be_there():
                await in_transaction(self._client, insert)
        except AlreadyThere:
            return await self.size_bytes(document.id) or len(rendered.body)
        return len(rendered.body)

    async def replace(self, document: BillDocument, rendered: RenderedBill, bill_id: str, at: datetime) -> int:
        """Put a document in the place of the one that lacked glyphs, and return its size."""

        async def exchange(session: AsyncClientSession) -> None:
            await self._files.delete_one({"_id": document.id}, session=session)
            await self._chunks.delete_many({"files_id": document.id}, session=session)
            await self._lacking.delete_one({"_id": document.id}, session=session)
            await self._insert(document, rendered, bill_id, at, session)

        await in_transaction(self._client, exchange)
        return len(rendered.body)

    async def warnings(self) -> dict[str, str]:
        """Return a sentence for people where documents have empty boxes."""
        count = await self._lacking.count_documents({})
        if not count:
            return {}
        latest = await self._lacking.find_one(sort=[("rendered_at", -1)])
        missing = " ".join(latest["texts"]) if latest else ""
        remedy = "install a font that has them (apt-get install fonts-noto), restart invoicing, then `tarifa documents render --all`"
        return {"documents": f"{count} have empty boxes for texts that no font has, such as {missing}: {remedy}"}

    async def _insert(
        self, document: BillDocument, rendered: RenderedBill, bill_id: str, at: datetime, session: AsyncClientSession
    ) -> None:
        body = rendered.body
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
        await self._files.insert_one(file, session=session)
        await self._chunks.insert_many(chunks, session=session)
        if rendered.missing_glyphs:
            lacking = {"_id": document.id, "bill_id": bill_id, "texts": list(rendered.missing_glyphs), "rendered_at": at}
            await self._lacking.insert_one(lacking, session=session)
