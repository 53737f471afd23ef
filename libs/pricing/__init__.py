"""Pricing, pure and exact: rate books in, integers out. The format of a rate book is in README.md beside this file.

books = load_rate_books(Path("deploy/rate-books"))
books.price_usage("mobile-basic", usage, time_zone="Europe/Madrid", currency="EUR")  # PricedUsage | RejectedUsage
"""

from libs.pricing.faults import Fault, RateBookInvalid
from libs.pricing.load import load_rate_book, load_rate_books, parse_rate_book
from libs.pricing.rate_book import RateBook, RecurringPrice
from libs.pricing.rate_books import RateBooks
from libs.pricing.refusal import RejectedUsage
from libs.pricing.usage_price import CompiledPrice, PricedUsage

__all__ = [
    "CompiledPrice",
    "Fault",
    "PricedUsage",
    "RateBook",
    "RateBookInvalid",
    "RateBooks",
    "RecurringPrice",
    "RejectedUsage",
    "load_rate_book",
    "load_rate_books",
    "parse_rate_book",
]
