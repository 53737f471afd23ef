"""A rate book by itself, as re-rating asks for one by name: it holds for ever, whenever it takes effect."""

from dataclasses import replace
from datetime import UTC, datetime

from libs.pricing.effective_date import EffectiveFrom
from libs.pricing.rate_book import RateBook
from libs.pricing.rate_books import RateBooks

SINCE_EVER = EffectiveFrom.at(datetime.min.replace(tzinfo=UTC))


def alone(book: RateBook) -> RateBooks:
    """Return the book as if there were no other and it had always been in force."""
    return RateBooks([replace(book, takes_effect=SINCE_EVER)])


def each_alone(books: RateBooks) -> dict[str, RateBooks]:
    """Return each book as if there were no other, by id."""
    return {book.id: alone(book) for book in books.books}
