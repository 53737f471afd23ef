"""An offering that is launched becomes a rate book, one for each currency of its prices, which rating accepts or refuses.

What was published is kept with the offering as `publications`, the newest last. A book in force stays as it is: another price
list of an offering that customers have is a book of its own from its publication on; one that is not in force yet is replaced.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.exact_json import read_json, write_json
from libs.periods import MOMENT
from libs.pricing import RateBookInvalid, parse_rate_book
from services.tmf_gateway.domain.catalogue_book import book_text, offering_terms, terms_by_currency
from services.tmf_gateway.domain.price_schedule import LISTS_MAX, Prices, has_ended, price_lists, prices_at
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.schema import TEXT_LENGTH_MAX
from services.tmf_gateway.domain.tmf620 import ACTIVE, LAUNCHED, OBSOLETE, REJECTED, RETIRED, new_resource, patched_resource
from services.tmf_gateway.domain.unpriceable import check_offering

# Short enough for the id of a rate book, with the 32 characters of an offering's id.
BOOK_ID = "catalog-{offering_id}.{revision}.{currency}"
BOOK_IDS = re.compile(r"catalog-[0-9a-f]{32}\.[0-9]+\.[A-Z]{3}(\.[0-9]+)?")
# Of the books that one revision publishes in one currency.
_SUFFIXES = ("", *(f".{number}" for number in range(2, LISTS_MAX + 1)))
PUBLISHED, ACCEPTED, REFUSED = "published", "accepted", "refused"
_NEVER_SOLD = (REJECTED, OBSOLETE)


def price_ids(resource: Mapping[str, Any]) -> list[str]:
    """The productOfferingPrices that an offering names. Raises BadRequest."""
    references = resource.get("productOfferingPrice") or []
    ids = [reference.get("id") if isinstance(reference, Mapping) else None for reference in references]
    if not all(isinstance(id, str) and id for id in ids):
        raise BadRequest("every productOfferingPrice of an offering is a reference with an id")
    return list(dict.fromkeys(str(id) for id in ids))


def new_offering(body: Mapping[str, Any], id: str, prices: Mapping[str, Document], now: datetime) -> dict[str, Any]:
    """The document of a new offering; `prices` are the productOfferingPrices that exist. Raises BadRequest."""
    return _launched({**new_resource("ProductOffering", body, id, now, state="In study"), "publications": []}, prices, now)


def patched_offering(offering: Document, patch: Mapping[str, Any], prices: Mapping[str, Document], now: datetime) -> dict[str, Any]:
    """The offering's document after a merge patch; the same one when nothing changes. Raises BadRequest or Conflict."""
    patched = patched_resource("ProductOffering", offering, patch, now)
    return patched if patched["revision"] == offering["revision"] else _launched(patched, prices, now)


def replanned_offering(offering: Document, prices: Mapping[str, Document], now: datetime) -> dict[str, Any]:
    """The offering's document once one of its `prices` holds at other times; the same one when no book changes.
    Raises BadRequest or Conflict."""
    try:
        planned = _launched({**offering, "revision": offering["revision"] + 1, "changed_at": now}, prices, now)
    except BadRequest as refusal:
        raise BadRequest(f"productOffering {offering['_id']}: {refusal.message}") from None
    return planned if planned["publications"] != offering["publications"] else dict(offering)


def answered_offering(offering: Document, answer: TariffAccepted | TariffRefused) -> dict[str, Any]:
    """The offering's document once rating has answered a publication; the same one when it had answered before."""
    if isinstance(answer, TariffAccepted):
        learnt, at = {"state": ACCEPTED, "effective_from": answer.effective_from}, answer.accepted_at
    else:
        learnt, at = {"state": REFUSED, "faults": list(answer.faults)}, answer.refused_at
    publications = [
        {**publication, **learnt} if publication["id"] == answer.id and publication["state"] == PUBLISHED else publication
        for publication in offering["publications"]
    ]
    if publications == offering["publications"]:
        return dict(offering)
    resource = {**offering["resource"], "statusReason": _reason(publications)}
    if resource["lifecycleStatus"] == LAUNCHED and all(publication["state"] == REFUSED for publication in publications):
        resource["lifecycleStatus"] = ACTIVE
    changed_at = max(at, offering["changed_at"])
    return {**offering, "resource": resource, "publications": publications, "revision": offering["revision"] + 1, "changed_at": changed_at}


def tariff_facts(after: Document, before: Document | None) -> list[TariffPublished]:
    """The books that a new revision of an offering publishes."""
    known_count = len(before["publications"]) if before else 0
    return [
        TariffPublished.of(publication["book_id"], publication["text"], publication["published_at"], _kept(after["_id"], publication))
        for publication in after["publications"][known_count:]
    ]


def adopted_publication(published: TariffPublished) -> tuple[str, dict[str, Any]] | None:
    """Return the offering that a book was published for, and its publication; None for books that are of no catalogue."""
    if published.catalogue is None:
        return None
    kept = read_json(published.catalogue)
    publication = {
        "id": published.id,
        "book_id": published.book_id,
        "currency": kept["currency"],
        "text": published.text,
        "said": kept["said"],
        "effective_from": datetime.fromisoformat(kept["effective_from"]),
        "published_at": published.published_at,
        "state": PUBLISHED,
    }
    return kept["offering_id"], publication


def _kept(offering_id: str, publication: Mapping[str, Any]) -> str:
    """What a publication says beside the text of its book, as JSON."""
    kept = {name: publication[name] for name in ("currency", "effective_from", "said")}
    return write_json({"offering_id": offering_id, **kept}).decode()


def _launched(offering: dict[str, Any], prices: Mapping[str, Document], now: datetime) -> dict[str, Any]:
    """The offering with the books that its state and its prices ask for."""
    resource = offering["resource"]
    missing = [id for id in price_ids(resource) if id not in prices]
    if missing:
        raise BadRequest(f"productOfferingPrice {missing[0]} does not exist")
    is_sold = resource["lifecycleStatus"] == LAUNCHED or (resource["lifecycleStatus"] == RETIRED and offering["publications"])
    if not is_sold:
        return offering
    # Of two texts of a book rating takes the newer one, and the clock of the gateway that published the last one may be ahead.
    now = max([now, *(known["published_at"] + MOMENT for known in offering["publications"])])
    listed = [(id, prices[id]["resource"]) for id in price_ids(resource)]
    if not listed:
        raise BadRequest("productOfferingPrice is missing: an offering is launched with at least one, be it of amount 0")
    for id, price in listed:
        if price["lifecycleStatus"] in _NEVER_SOLD and not has_ended(price, now):
            raise BadRequest(
                f"productOfferingPrice {id} is {price['lifecycleStatus']}: an offering is not launched with it; take it out of the offering"
            )
    check_offering(resource)
    currencies = terms_by_currency(listed)
    for publication in offering["publications"]:
        if publication["state"] != REFUSED and publication["currency"] not in currencies:
            raise Conflict(f"customers pay for this offering in {publication['currency']}: keep a productOfferingPrice in that currency")
    fresh = [
        publication
        for currency in currencies
        for publication in _publications(offering, currency, [one for one in listed if one[1]["price"]["unit"] == currency], now)
    ]
    if not fresh:
        return offering
    publications = [*offering["publications"], *fresh]
    return {**offering, "resource": {**resource, "statusReason": _reason(publications)}, "publications": publications}


def _publications(offering: Document, currency: str, prices: Prices, now: datetime) -> list[dict[str, Any]]:
    """The books still to be published so that each price list has one, from where it begins on."""
    resource = offering["resource"]
    books = _books(offering["publications"], currency)
    in_force, planned = [book for book in books if book["effective_from"] <= now], [book for book in books if book["effective_from"] > now]
    refused = [known for known in offering["publications"] if known["currency"] == currency and known["state"] == REFUSED]
    begin = _begin(resource, in_force, refused, now)
    # What is planned before the new lists begin stays.
    before = [*in_force, *(book for book in planned if book["effective_from"] < begin)] if in_force else []
    _check_ends(offering["publications"], before, prices, begin, now)
    lists = {since: _said(resource, currency, held) for since, held in price_lists(prices, begin)}
    _check_lists(lists, prices, [book for book in books if book["effective_from"] <= begin] if in_force else [])
    if before:
        planned = planned[len(before) - len(in_force) :]
        if lists[begin] == before[-1]["said"]:
            # Where nothing changes nothing is published.
            del lists[begin]
    ids = _book_ids(offering, currency, planned, lists)
    for book in reversed(planned):
        if book["book_id"] not in ids.values():
            # A book cannot be taken back: this one repeats the list that holds anyway.
            since = book["effective_from"] if book["effective_from"] >= begin else max(lists) + timedelta(seconds=1)
            ids[since], lists[since] = book["book_id"], _said(resource, currency, prices_at(prices, since))
    known = {book["effective_from"]: book["said"] for book in planned}
    return [
        _publication(offering, currency, ids[since], since, said, now)
        for since, said in sorted(lists.items(), key=itemgetter(0))
        if known.get(since) != said
    ]


def _book_ids(offering: Document, currency: str, planned: Sequence[Document], lists: Mapping[datetime, Any]) -> dict[datetime, str]:
    """The book of each list: the one that is planned for its instant, else one that is planned for another, else a new one."""
    ids = {book["effective_from"]: book["book_id"] for book in planned if book["effective_from"] in lists}
    free = [book["book_id"] for book in planned if book["effective_from"] not in lists]
    fresh = (BOOK_ID.format(offering_id=offering["_id"], revision=offering["revision"], currency=currency) + suffix for suffix in _SUFFIXES)
    return {since: ids.get(since) or (free.pop(0) if free else next(fresh)) for since in sorted(lists)}


def _publication(offering: Document, currency: str, book_id: str, since: datetime, said: Document, now: datetime) -> dict[str, Any]:
    text = book_text(book_id, since, currency, offering["_id"], offering["resource"], said["terms"])
    _check(text)
    id = TariffPublished.of(book_id, text, now).id
    known = {"id": id, "book_id": book_id, "currency": currency, "text": text, "said": said}
    return {**known, "effective_from": since, "published_at": now, "state": PUBLISHED}


def _said(resource: Document, currency: str, prices: Prices) -> dict[str, Any]:
    """What makes a book another one."""
    return {"offering": offering_terms(resource), "terms": terms_by_currency(prices).get(currency, {})}


def _books(publications: Sequence[Document], currency: str) -> list[Document]:
    """The books in a currency as they were published last, but for what was refused, in the order in which they take effect."""
    newest = {known["book_id"]: known for known in publications if known["currency"] == currency and known["state"] != REFUSED}
    return sorted(newest.values(), key=itemgetter("effective_from"))


def _begin(resource: Document, in_force: Sequence[Document], refused: Sequence[Document], now: datetime) -> datetime:
    """From when on prices can still be said: the start of the offering, even if that has passed; once a book is in force, from now on.
    Raises Conflict for a start before that of the book."""
    at = now.replace(microsecond=0)
    start = resource.get("validFor", {}).get("startDateTime", at).replace(microsecond=0)
    if not in_force:
        return start
    # The first book may have been refused and the second one not.
    first = min(book["effective_from"] for book in (*in_force, *refused))
    if start < first:
        raise Conflict(
            f"this offering is priced from {first.isoformat()} on, and what was in force stays as it was: "
            "its validFor.startDateTime cannot be earlier"
        )
    return max(start, at, in_force[-1]["effective_from"] + timedelta(seconds=1))


def _check_lists(lists: Mapping[datetime, Document], prices: Prices, until_then: Sequence[Document]) -> None:
    """What is launched has a price at any time. One in force may be given its end before it is given its successor: only what would
    leave customers without a price earlier than `until_then`, the books until the lists begin, is refused. Raises BadRequest."""
    begin = min(lists)
    for since, said in lists.items():
        if not said["terms"] and (not until_then or (since == begin and until_then[-1]["said"]["terms"])):
            raise BadRequest(
                f"of {', '.join(f'productOfferingPrice {id}' for id, _ in prices[:3])} none is valid from {since.isoformat()} on: "
                "let a price begin with the offering, and another one where the last one ends"
            )


def _check_ends(publications: Sequence[Document], before: Sequence[Document], prices: Prices, begin: datetime, now: datetime) -> None:
    """A price that has ended without ever having been in force would be dropped without a word, and one would be charged beyond its end
    that the books before `begin` still have. Raises BadRequest."""
    published = _price_ids(publications)
    held = _price_ids(before[-1:])
    for id, price in prices:
        if not has_ended(price, begin):
            continue
        end = price["validFor"]["endDateTime"].isoformat()
        if id not in published:
            raise BadRequest(
                f"productOfferingPrice {id} was valid until {end}, the prices of the offering "
                f"can be said from {begin.isoformat()} on: take it out of the offering"
            )
        if id in held and not has_ended(price, now) and has_ended(price, begin - timedelta(seconds=1)):
            raise BadRequest(
                f"productOfferingPrice {id} ends on {end}, and the prices of the offering hold from {begin.isoformat()} on, "
                "its validFor.startDateTime: let the one end no earlier, or the other begin then"
            )


def _price_ids(publications: Iterable[Document]) -> set[str]:
    return {term["id"] for known in publications for terms in known["said"]["terms"].values() for term in terms}


def _reason(publications: Sequence[Document]) -> str:
    """What became of the books that were published last in each currency."""
    newest = {publication["currency"]: publication["published_at"] for publication in publications}
    told = (_told(publication) for publication in publications if publication["published_at"] == newest[publication["currency"]])
    return "; ".join(told)[:TEXT_LENGTH_MAX]


def _told(publication: Document) -> str:
    match publication["state"]:
        case "accepted":
            what = "in force" if publication["said"]["terms"] else "without any price"
            return f"{what} as rate book {publication['book_id']} from {publication['effective_from'].isoformat()}"
        case "refused":
            return f"rate book {publication['book_id']} was refused: {'; '.join(publication['faults'])}"
    return f"rate book {publication['book_id']} is being published"


def _check(text: str) -> None:
    try:
        parse_rate_book(text, "")
    except RateBookInvalid as error:
        faults = (f"{fault.path}: {fault.message}; {fault.remedy}" for fault in error.faults)
        raise BadRequest(f"the prices do not make a rate book: {' | '.join(faults)}"[:TEXT_LENGTH_MAX]) from None
