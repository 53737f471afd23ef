"""The rate books that rating prices by, as a command sees them: files, and what was published besides."""

from collections.abc import Iterable
from pathlib import Path

from libs.audit.reader import Document, open_reader
from libs.pricing import RateBook, RateBooks, load_rate_book, load_rate_books, parse_rate_book
from libs.runtime.settings import RuntimeSettings


async def stored_tariffs(settings: RuntimeSettings) -> list[Document]:
    """Rating's documents of the books that it accepted: `_id`, `text`, `file`, `effective_from`, `accepted_at` …"""
    async with open_reader(settings) as reader:
        return [document async for document in reader.find("rating", "tariffs", sort="_id")]


async def books_in_force(settings: RuntimeSettings, directory: Path) -> RateBooks:
    """The books of a directory and those that rating accepted besides; a file goes before what is stored under its id, unless
    another text of it was published. Raises RateBookInvalid."""
    load_rate_books(directory)
    files = {book.id: book for book in map(load_rate_book, sorted(directory.glob("*.yaml")))}
    return RateBooks(merged(files.values(), await stored_tariffs(settings)))


def merged(files: Iterable[RateBook], stored: Iterable[Document]) -> list[RateBook]:
    """One book per id."""
    books = {book.id: book for book in files}
    for document in stored:
        if document["_id"] not in books or not document["from_file"]:
            books[document["_id"]] = parse_rate_book(document["text"], document["file"])
    return list(books.values())
