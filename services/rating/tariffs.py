"""The rate books that rating prices by: the collection `tariffs`, one document per book, cached and never stale.

The books of RATE_BOOKS_DIR are taken in at each start, published ones whenever they come; there are no others. A counter is
raised with every new text and read once per batch, so that every worker prices by a new book from its next batch on.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.database import AsyncDatabase

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused, publication_id
from libs.pricing import RateBook, RateBooks, load_rate_books, parse_rate_book
from libs.runtime import Index, in_transaction
from services.rating.domain.tariffs import Candidate, Decision, Tariff, decide, is_same_book

VERSION_ID = "tariffs"
INDEXES = (
    Index("tariffs", (("effective_from", -1), ("_id", 1)), "tarifa tariff list, newest first"),
    Index("tariffs", (("offering_ids", 1),), "gateway: whether a book has the offering of a new product"),
)

logger = structlog.get_logger(__name__)


class RateBookChanged(Exception):
    """A file says something else than the book that is in force under its id."""


class Tariffs:
    """Accepted rate books."""

    def __init__(self, client: AsyncMongoClient, store: AsyncDatabase) -> None:
        self._client = client
        self._tariffs = store["tariffs"]
        self._versions = store["directory_version"]
        self._version = -1
        self._books = RateBooks([])
        self._parsed: dict[str, RateBook] = {}

    async def current(self) -> RateBooks:
        """All books as they are now. One batch is priced by what this returns once."""
        document = await self._versions.find_one({"_id": VERSION_ID})
        version = document["version"] if document else 0
        if version != self._version:
            tariffs = await self._all(None)
            self._books = RateBooks(tariff.book for tariff in tariffs.values())
            self._version = version
        return self._books

    async def take(self, publications: Iterable[TariffPublished], now: datetime) -> list[TariffAccepted | TariffRefused]:
        """Accept or refuse each book; what was accepted is in force for all workers when this returns."""
        return [await self._decide_and_store(Candidate.of(publication), now) for publication in publications]

    async def offering_ids(self, book_ids: Iterable[str]) -> set[str]:
        """Return the offerings of these books."""
        found = self._tariffs.find({"_id": {"$in": list(book_ids)}}, {"offering_ids": 1})
        return {offering_id async for document in found for offering_id in document["offering_ids"]}

    async def take_files(self, directory: Path, now: datetime) -> list[TariffAccepted]:
        """Accept the books of a directory. A text that was published under the id of one of them goes before the file.
        Raises RateBookInvalid, or RateBookChanged when a file is no longer the book in force."""
        load_rate_books(directory)
        answers: list[TariffAccepted] = []
        for path in sorted(directory.glob("*.yaml")):
            text = path.read_text(encoding="utf-8")
            book = parse_rate_book(text, path.name)
            known = (await self._all(None)).get(book.id)
            if known is not None and not known.candidate.from_file and not is_same_book(text, known.candidate.text):
                logger.warning("another text of this book was published: the file is left aside", rate_book=book.id, file=str(path))
                answers.append(known.answer)
                continue
            candidate = Candidate(publication_id(book.id, text), book.id, text, path.name, now, from_file=True)
            answer = await self._decide_and_store(candidate, now)
            if isinstance(answer, TariffRefused):
                raise RateBookChanged("\n".join(answer.faults))
            answers.append(answer)
        return answers

    async def _decide_and_store(self, candidate: Candidate, now: datetime) -> TariffAccepted | TariffRefused:
        async def work(session: AsyncClientSession) -> Decision:
            decision = decide(candidate, await self._all(session), now)
            if decision.tariff is not None:
                await self._tariffs.replace_one({"_id": candidate.book_id}, _document(decision.tariff), upsert=True, session=session)
                # In the same transaction: two books that were each judged without the other would conflict here, and one is judged anew.
                await self._versions.update_one({"_id": VERSION_ID}, {"$inc": {"version": 1}}, upsert=True, session=session)
            return decision

        return (await in_transaction(self._client, work)).answer

    async def _all(self, session: AsyncClientSession | None) -> dict[str, Tariff]:
        documents = await self._tariffs.find({}, session=session).to_list()
        known = {document["publication_id"]: self._book(document) for document in documents}
        self._parsed = known
        return {document["_id"]: _tariff(document, known[document["publication_id"]]) for document in documents}

    def _book(self, document: Mapping[str, Any]) -> RateBook:
        return self._parsed.get(document["publication_id"]) or parse_rate_book(document["text"], document["file"])


def _document(tariff: Tariff) -> dict[str, Any]:
    return {
        "_id": tariff.book.id,
        "publication_id": tariff.answer.id,
        "text": tariff.candidate.text,
        "file": tariff.candidate.file,
        "from_file": tariff.candidate.from_file,
        "currency": tariff.book.currency,
        "offering_ids": list(tariff.book.offerings),
        "effective_from": tariff.book.effective_from,
        "published_at": tariff.candidate.published_at,
        "accepted_at": tariff.answer.accepted_at,
        "earlier": [answer.model_dump() for answer in tariff.earlier],
    }


def _tariff(document: Mapping[str, Any], book: RateBook) -> Tariff:
    candidate = Candidate(
        document["publication_id"],
        document["_id"],
        document["text"],
        document["file"],
        document["published_at"].astimezone(UTC),
        document["from_file"],
    )
    accepted = {"book_id": document["_id"], "effective_from": document["effective_from"], "accepted_at": document["accepted_at"]}
    earlier = tuple(TariffAccepted.model_validate(answer) for answer in document["earlier"])
    return Tariff(book, candidate, TariffAccepted.model_validate({"id": candidate.id, **accepted}), earlier)
