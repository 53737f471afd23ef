"""Recurring prices of a rate book."""

from libs.pricing.book_terms import BookTerms
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.rate_book import RecurringPrice
from libs.pricing.yaml_source import Node

PERIODS = ("month",)


def read_recurring_price(node: Node, terms: BookTerms) -> RecurringPrice:
    """A fee for each period."""
    reader = terms.reader
    fields = reader.fields(node, ("id", "description", "amount", "period"), ("tax_category",))
    return RecurringPrice(
        price_id=terms.declare(fields.get("id")),
        description=reader.text(fields.get("description")),
        amount=reader.value(fields.get("amount"), parse_number, ExactNumber(0)).to_decimal(),
        currency=terms.currency,
        period=reader.value(fields.get("period"), _parse_period, PERIODS[0]),
        tax_category=reader.identifier(fields.get("tax_category")) or None,
        rate_book=terms.rate_book,
    )


def _parse_period(text: str) -> str:
    if text not in PERIODS:
        raise Unreadable(f"unknown period {text[:80]!r}", suggest(text, PERIODS, f"use {', '.join(PERIODS)}"))
    return text
