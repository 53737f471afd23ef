"""The rate books that commands work on: those of a directory, single files, and those that rating accepted, by their id."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from libs.cli.errors import CommandError
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import Fault, RateBookInvalid
from libs.pricing.load import read_text
from libs.tariffs import BookDocument, read_book_document

Document = dict[str, Any]

RATE_BOOKS = PROJECT_ROOT / "deploy" / "rate-books"
# What to do about an offering or a book that is not found.
SEE_LIST = "see `tarifa tariff list`; with --published also the books that rating accepted are looked at"


def rate_book_paths(path: Path) -> list[Path]:
    """The file itself, or every *.yaml of a directory."""
    if path.is_file():
        return [path]
    found = sorted(path.glob("*.yaml"))
    if not found:
        raise CommandError(
            f"no rate book (*.yaml) in {path}" if path.is_dir() else f"{path} does not exist", "name a rate book or a directory of them"
        )
    return found


def read_document(path: Path) -> BookDocument:
    """The book of a file. Raises RateBookInvalid; fails when the file cannot be read."""
    try:
        text = read_text(path)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", "make it a file that may be read, or take it away") from None
    return read_book_document(text, str(path))


def read_documents(directory: Path, *, published: bool = False) -> list[BookDocument]:
    """Every book of a directory; with `published` also those that rating accepted, which go before a file of the same id.
    Fails with the faults of those that have any."""
    documents = {document.book.id: document for document in map(sound_document, rate_book_paths(directory))}
    for stored in asyncio.run(_stored()) if published else ():
        if stored["_id"] not in documents or not stored["from_file"]:
            documents[stored["_id"]] = read_book_document(stored["text"], f"published {stored['accepted_at']:%Y-%m-%d %H:%M}")
    return list(documents.values())


def find_document(name: str, directory: Path, *, published: bool = False) -> BookDocument:
    """The book in a file of that name, or else the book with that id."""
    if names_file(name):
        return sound_document(Path(name))
    documents = read_documents(directory, published=published)
    found = next((document for document in documents if document.book.id == name), None)
    if found is None:
        known = ", ".join(document.book.id for document in documents)
        where = f"{directory} or published" if published else directory
        raise CommandError(f"no rate book in {where} has the id {name}", f"name a file, or one of {known}")
    return found


def names_file(name: str) -> bool:
    """Whether this is the file of a book, and not an id. Fails when it can only be a file and none is there."""
    path = Path(name)
    if path.is_file():
        return True
    if path.suffix == ".yaml" or len(path.parts) > 1:
        problem = "is a directory" if path.is_dir() else "does not exist"
        raise CommandError(f"{path} {problem}", "name a file, or an id that `tarifa tariff list` shows")
    return False


def sound_document(path: Path) -> BookDocument:
    """The book of a file; fails with the first of its faults."""
    try:
        return read_document(path)
    except RateBookInvalid as error:
        raise CommandError(f"{path} cannot be used: {error.faults[0]}", f"see all with `tarifa tariff check {path}`") from error


async def _stored() -> list[Document]:
    # Imported here: what works on files alone need not wait for the libraries of MongoDB.
    from libs.cli.books_in_force import stored_tariffs
    from libs.devstack.stack import running_settings

    return await stored_tariffs(running_settings())


def count_products() -> dict[str, int]:
    """How many products that have not ended have each offering, as rating knows them."""
    return asyncio.run(_product_counts())


async def _product_counts() -> dict[str, int]:
    from libs.audit.reader import open_reader
    from libs.devstack.stack import running_settings

    pipeline: list[Document] = [{"$match": {"ended_at": None}}, {"$group": {"_id": "$offering_id", "count": {"$sum": 1}}}]
    async with open_reader(running_settings()) as reader:
        return {document["_id"]: document["count"] async for document in reader.aggregate("rating", "products", pipeline)}


def tell_warnings(warnings: Iterable[Fault]) -> None:
    """Print what is odd in sound books, a line each."""
    for warning in warnings:
        Console(highlight=False).print(escape(f"warning: {warning}"), soft_wrap=True)


def count_zones() -> dict[str, int]:
    """Return how many accounts have each time zone, as rating knows them."""
    return asyncio.run(_zone_counts())


async def _zone_counts() -> dict[str, int]:
    from libs.audit.reader import open_reader
    from libs.devstack.stack import running_settings

    pipeline: list[Document] = [{"$group": {"_id": "$time_zone", "count": {"$sum": 1}}}]
    async with open_reader(running_settings()) as reader:
        return {document["_id"]: document["count"] async for document in reader.aggregate("rating", "accounts", pipeline)}
