"""Rate books in TMF620's words: the offerings that they price, and a productOfferingPrice for each price of each book, valid
until the next book of that offering and currency takes effect."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from libs.pricing.book_reader import BOOK_TERMS
from services.tmf_gateway.domain.book_keys import BOOK_KEYS, LISTS, NAMED_KEYS
from services.tmf_gateway.domain.catalogue_book import shown_offering_terms, shown_price
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.tmf620 import LAUNCHED

# What a book declares under names, and how much of it a catalogue shows: a wholesale list of prefixes is no reading for a CRM.
NAMED_TEXTS_MAX = 10_000


@dataclass(frozen=True)
class _Version:
    """An offering as one book has it; `declared` are the names of the book that it uses."""

    book: Document
    offering_id: str
    terms: dict[str, Any]
    declared: dict[str, Any]
    ends_at: datetime | None


def shown_books(tariffs: Iterable[Document]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The documents of the offerings and of their prices. `tariffs` are those that rating stores."""
    versions: dict[str, list[_Version]] = {}
    successors: dict[tuple[str, str], datetime] = {}
    for book in sorted(tariffs, key=lambda tariff: tariff["effective_from"], reverse=True):
        # Rating has read it: all that it holds are texts, lists and mappings.
        written = yaml.load(book["text"], Loader=yaml.CBaseLoader)
        inherited = {key: written[key] for key in BOOK_TERMS if key in written and key not in BOOK_KEYS}
        for offering_id, own in written["offerings"].items():
            ends_at = successors.get((offering_id, book["currency"]))
            terms = {**inherited, **own}
            versions.setdefault(offering_id, []).append(_Version(book, offering_id, terms, _declared(written, terms), ends_at))
            successors[offering_id, book["currency"]] = book["effective_from"]
    prices = {offering_id: [price for version in held for price in _prices(version)] for offering_id, held in versions.items()}
    offerings = [_offering(offering_id, held, prices[offering_id]) for offering_id, held in versions.items()]
    return offerings, [price for shown in prices.values() for price in shown]


def _offering(id: str, newest_first: Sequence[_Version], prices: Iterable[Document]) -> dict[str, Any]:
    newest, oldest = newest_first[0], newest_first[-1]
    characteristics = shown_offering_terms({**newest.terms, **newest.declared})
    resource = {
        "name": id,
        "description": f"As rate book {newest.book['_id']} prices it",
        "lifecycleStatus": LAUNCHED,
        "isBundle": False,
        "validFor": {"startDateTime": oldest.book["effective_from"]},
        "productOfferingPrice": [{"id": price["_id"], "name": price["resource"]["name"]} for price in prices],
        **({"prodSpecCharValueUse": characteristics} if characteristics else {}),
    }
    return _document(id, [version.book for version in reversed(newest_first)], resource)


def _declared(written: Mapping[str, Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    used = set(_texts(terms))
    # Bands name holidays.
    used.update(_texts({name: band for name, band in written.get("time_bands", {}).items() if name in used}))
    declared = {kind: {name: value for name, value in written.get(kind, {}).items() if name in used} for kind in NAMED_KEYS}
    declared = {kind: named for kind, named in declared.items() if named}
    home = {key: written[key] for key in ("home_networks",) if key in written}
    return {**home, **declared} if sum(1 for _ in _texts(declared)) <= NAMED_TEXTS_MAX else home


def _texts(written: Any) -> Iterator[str]:
    if isinstance(written, str):
        yield written
    else:
        for member in written.values() if isinstance(written, Mapping) else written:
            yield from _texts(member)


def _prices(version: _Version) -> Iterable[dict[str, Any]]:
    validity = {"startDateTime": version.book["effective_from"]}
    if version.ends_at is not None:
        validity["endDateTime"] = version.ends_at
    for list_key in LISTS.values():
        for term in version.terms.get(list_key, ()):
            shown = shown_price(list_key, version.book["currency"], term)
            resource = {**shown, "lifecycleStatus": LAUNCHED, "validFor": validity}
            yield _document(f"{version.book['_id']}:{version.offering_id}:{term['id']}", [version.book], resource)


def _document(id: str, books: Sequence[Document], resource: dict[str, Any]) -> dict[str, Any]:
    return {
        "_id": id,
        "revision": 1,
        "created_at": books[0]["accepted_at"],
        "changed_at": max(book["accepted_at"] for book in books),
        "rate_books": [book["_id"] for book in books],
        "resource": resource,
        "outbox": [],
    }
