"""Pricing, pure and exact: rate books in, integers out. The format of a rate book is in README.md beside this file.

books = load_rate_books(Path("deploy/rate-books"))
books.price_usage("mobile-basic", usage, time_zone="Europe/Madrid", currency="EUR")  # PricedUsage | RejectedUsage
"""

from libs.pricing.compiled_price import CompiledPrice, PricedUsage
from libs.pricing.faults import Fault, RateBookInvalid
from libs.pricing.load import load_rate_book, load_rate_books, parse_rate_book
from libs.pricing.one_time_price import OneTimePrice
from libs.pricing.rate_book import RateBook
from libs.pricing.rate_books import RateBooks
from libs.pricing.recurring_price import RecurringPrice
from libs.pricing.refusal import RejectedUsage

__all__ = [
    "CompiledPrice",
    "Fault",
    "OneTimePrice",
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
