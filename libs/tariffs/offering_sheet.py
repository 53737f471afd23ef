"""What an offering costs, a line for each price and condition: the table that `tarifa tariff show` prints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from libs.tariffs.book_document import BookDocument, as_list
from libs.tariffs.words import MODELS, asked, band_words, condition_words, listed, match_words, price_words, told

# Told in columns of their own.
TOLD_ONCE = frozenset({"id", "description", "match", "amount", "period"})
KINDS = {
    "usage_prices": "usage",
    "recurring_prices": "recurring",
    "one_time_prices": "one-time",
    "allowances": "allowance",
    "discounts": "discount",
    "minimum_commitment": "minimum commitment",
    "spending_cap": "spending cap",
    "thresholds": "threshold",
}


@dataclass(frozen=True)
class SheetLine:
    """`id` is empty for what has none; `conditions` come after the price."""

    kind: str
    id: str
    description: str
    applies_to: str
    price: str
    conditions: tuple[str, ...]


def offering_sheet(document: BookDocument, offering: str) -> list[SheetLine]:
    """The lines of an offering. Raises KeyError when the book has no such offering."""
    terms = document.offerings[offering]
    return [line for key, value in terms.items() for item in as_list(value) for line in _lines(key, item, document)]


def _lines(key: str, terms: Any, document: BookDocument) -> Iterator[SheetLine]:
    currency = document.book.currency
    kind = KINDS.get(key, key.replace("_", " "))
    if not isinstance(terms, Mapping):
        yield SheetLine(kind, "", "", "", condition_words(key, terms, currency) if key == "crossing" else told(terms), ())
        return
    match = terms.get("match")
    once = {*TOLD_ONCE, *MODELS} if key == "usage_prices" else TOLD_ONCE
    conditions = tuple(condition_words(name, value, currency) for name, value in terms.items() if name not in once)
    yield SheetLine(
        kind,
        told(terms.get("id", "")),
        told(terms.get("description", "")),
        match_words(match) + _meaning(match, document) if isinstance(match, Mapping) else "",
        _price(key, terms, currency),
        conditions,
    )


def _price(key: str, terms: Mapping[str, Any], currency: str) -> str:
    if key == "usage_prices":
        return price_words(terms, currency)
    if key == "rounding" or "amount" not in terms:
        return ""
    amount = told(terms["amount"])
    if key == "allowances":
        return amount
    return asked(terms["amount"], currency) + (f" per {terms['period']}" if "period" in terms else "")


def _meaning(match: Mapping[str, Any], document: BookDocument) -> str:
    """What the names in a match stand for."""
    meanings = []
    for key, kind in (("zone", "zones"), ("roaming_zone", "roaming_zones")):
        for name in as_list(match.get(key)):
            meanings.append(f"{name}: {listed(as_list(document.named(kind, name)))}")
    for name in as_list(match.get("time_band")):
        meanings.append(f"{name}: {band_words(document.named('time_bands', name))}")
    return f" ({'; '.join(meanings)})" if meanings else ""
