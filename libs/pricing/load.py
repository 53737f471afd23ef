"""Rate books from files and texts: read, checked and compiled once. The only module of pricing that opens files."""

from collections.abc import Iterator
from pathlib import Path

from libs.pricing.book_reader import read_rate_book
from libs.pricing.faults import Fault, Place, RateBookInvalid
from libs.pricing.rate_book import RateBook
from libs.pricing.rate_books import RateBooks
from libs.pricing.reader import Reader
from libs.pricing.yaml_source import read_yaml


def parse_rate_book(text: str, file: str) -> RateBook:
    """The book of a text; `file` only names it in faults. Raises RateBookInvalid with every fault found."""
    tree, faults = read_yaml(text, file)
    reader = Reader(faults)
    book = read_rate_book(tree, reader)
    if reader.faults:
        raise RateBookInvalid(reader.faults)
    return book


def read_text(path: Path) -> str:
    """The text of a rate book's file. Raises RateBookInvalid when it is not UTF-8, or OSError when it cannot be read."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RateBookInvalid([Fault(str(path), line, "", "the file is not UTF-8", "save it in UTF-8")]) from None


def load_rate_book(path: Path) -> RateBook:
    """The book of a file. Raises RateBookInvalid, or OSError when the file cannot be read."""
    return parse_rate_book(read_text(path), str(path))


def load_rate_books(directory: Path) -> RateBooks:
    """Every `*.yaml` of a directory. Raises RateBookInvalid with the faults of all of them, or when there is none."""
    paths = sorted(directory.glob("*.yaml"))
    if not paths:
        raise RateBookInvalid(
            [Place(str(directory), 1, "").fault("no rate book (*.yaml) here", "point to the directory with the rate books")]
        )
    faults: list[Fault] = []
    books = list(_sound_books(paths, faults))
    if faults:
        raise RateBookInvalid(faults)
    return RateBooks(books)


def _sound_books(paths: list[Path], faults: list[Fault]) -> Iterator[RateBook]:
    for path in paths:
        try:
            yield load_rate_book(path)
        except RateBookInvalid as error:
            faults.extend(error.faults)
