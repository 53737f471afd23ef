"""All warnings of one rate book, by file and line."""

from collections.abc import Iterator

from libs.pricing import Fault
from libs.pricing.book_format import CURRENT_FORMAT
from libs.tariffs.book_document import BookDocument
from libs.tariffs.review.adjustments import adjustment_warnings
from libs.tariffs.review.allowances import allowance_warnings
from libs.tariffs.review.names import name_warnings
from libs.tariffs.review.prefixes import prefix_warnings
from libs.tariffs.review.prices import price_warnings


def review(document: BookDocument) -> list[Fault]:
    """Return what is odd in a sound book, in the order of its lines."""
    found = [*_format_warnings(document), *name_warnings(document), *prefix_warnings(document)]
    for offering in document.book.offerings.values():
        found += price_warnings(offering)
        found += allowance_warnings(offering)
        found += adjustment_warnings(offering, document.tree)
    return sorted(set(found))


def _format_warnings(document: BookDocument) -> Iterator[Fault]:
    book = document.book
    anywhere = [price.id for offering in book.offerings.values() for price in offering.usage_prices if not price.match.networks]
    if book.format >= CURRENT_FORMAT or not anywhere:
        return
    more = f" and {len(anywhere) - 1} more" if len(anywhere) > 1 else ""
    yield book.place.fault(
        f"the book has format 1, where a price that says nothing about roaming is for usage abroad as well: {anywhere[0]}{more}",
        f"write its successor with `format: {CURRENT_FORMAT}` and `home_networks:`; a book in force keeps its meaning",
    )
