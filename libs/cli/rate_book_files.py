"""The rate books that commands work on: those of a directory, single files, and texts by their id."""

from pathlib import Path

from libs.cli.errors import CommandError
from libs.devstack.settings import PROJECT_ROOT
from libs.pricing import Fault, RateBookInvalid
from libs.tariffs import BookDocument, read_book_document

RATE_BOOKS = PROJECT_ROOT / "deploy" / "rate-books"


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
    """The book of a file. Raises RateBookInvalid."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RateBookInvalid([Fault(str(path), line, "", "the file is not UTF-8", "save it in UTF-8")]) from None
    return read_book_document(text, str(path))


def read_documents(directory: Path) -> list[BookDocument]:
    """Every book of a directory; fails with the faults of those that have any."""
    return [_sound(path) for path in rate_book_paths(directory)]


def find_document(name: str, directory: Path) -> BookDocument:
    """The book in a file of that name, or else the book of the directory with that id."""
    path = Path(name)
    if path.is_file():
        return _sound(path)
    if path.suffix == ".yaml":
        raise CommandError(f"{path} does not exist", "name a file, or the id of a book in --books")
    documents = read_documents(directory)
    found = next((document for document in documents if document.book.id == name), None)
    if found is None:
        known = ", ".join(document.book.id for document in documents)
        raise CommandError(f"no rate book in {directory} has the id {name}", f"name a file, or one of {known}")
    return found


def _sound(path: Path) -> BookDocument:
    try:
        return read_document(path)
    except RateBookInvalid as error:
        raise CommandError(f"{path} cannot be used: {error.faults[0]}", f"see all with `tarifa tariff check {path}`") from error
