"""A rate book by itself, as re-rating asks for one by name: it holds for ever, whenever it takes effect."""

from dataclasses import replace
from datetime import UTC, datetime

from libs.pricing.rate_books import RateBooks

SINCE_EVER = datetime.min.replace(tzinfo=UTC)


def each_alone(books: RateBooks) -> dict[str, RateBooks]:
    """Each book as if there were no other, by id."""
    return {book.id: RateBooks([replace(book, effective_from=SINCE_EVER)]) for book in books.books}
