"""Rate books as facts: published by the command line or the catalogue, accepted or refused by rating."""

import hashlib
from datetime import datetime
from typing import Annotated, Self

from pydantic import StringConstraints

from libs.contracts.derived_ids import fitting_id
from libs.contracts.fact import Id, RecordFact, Text
from libs.periods import Instant

# A hundred thousand called-number prefixes; four bytes to a character still fit in a message.
BOOK_CHARACTERS_MAX = 2_000_000
BookText = Annotated[str, StringConstraints(min_length=1, max_length=BOOK_CHARACTERS_MAX, pattern=r"^[^\x00]+$")]
_DIGEST_LENGTH = 32


class TariffPublished(RecordFact, topic="tariff.published.v1", key="book_id", partitions=1):
    """Somebody wants usage priced by this rate book. `id` is derived from the book's id and its text, so that publishing
    the same text twice is publishing it once; of two texts of one book, `published_at` tells the newer.

    `catalogue` is what the gateway keeps of a book of its catalogue, as JSON. It adopts that after a restore; rating does not read it."""

    id: Id
    book_id: Id
    text: BookText
    published_at: Instant
    catalogue: BookText | None = None

    @classmethod
    def of(cls, book_id: str, text: str, published_at: datetime, catalogue: str | None = None) -> Self:
        """The publication of a text as the book `book_id`, which it must name itself. Raises pydantic.ValidationError."""
        said = {"text": text, "published_at": published_at, "catalogue": catalogue}
        return cls.model_validate({"id": publication_id(book_id, text), "book_id": book_id, **said})


class TariffAccepted(RecordFact, topic="tariff.accepted.v1", key="book_id", partitions=1):
    """Rating prices by this book from `effective_from` on. `id` is that of the publication."""

    id: Id
    book_id: Id
    effective_from: Instant
    accepted_at: Instant


class TariffRefused(RecordFact, topic="tariff.refused.v1", key="book_id", partitions=1):
    """Rating does not take this book: `faults` say in words where, why, and what to do. `id` is that of the publication."""

    id: Id
    book_id: Id
    faults: tuple[Text, ...]
    refused_at: Instant


def publication_id(book_id: str, text: str) -> str:
    """The id of the publication of a text."""
    return fitting_id(f"{book_id}:{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]}")
