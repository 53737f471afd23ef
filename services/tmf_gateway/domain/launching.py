"""An offering that is launched becomes a rate book, one for each currency of its prices, which rating accepts or refuses.

What was published is kept with the offering as `publications`, the newest last. A book in force stays as it is: another price
list of an offering that customers have is a book of its own from its publication on; one that is not in force yet is replaced.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.pricing import RateBookInvalid, parse_rate_book
from services.tmf_gateway.domain.catalogue_book import book_text, terms_by_currency
from services.tmf_gateway.domain.refusal import BadRequest, Conflict
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.schema import TEXT_LENGTH_MAX
from services.tmf_gateway.domain.tmf620 import ACTIVE, LAUNCHED, OBSOLETE, REJECTED, RETIRED, new_resource, patched_resource
from services.tmf_gateway.domain.unpriceable import check_offering

# Short enough for the id of a rate book, with the 32 characters of an offering's id.
BOOK_ID = "catalog-{offering_id}.{revision}.{currency}"
BOOK_IDS = re.compile(r"catalog-[0-9a-f]{32}\.[0-9]+\.[A-Z]{3}")
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
        TariffPublished.of(publication["book_id"], publication["text"], publication["published_at"])
        for publication in after["publications"][known_count:]
    ]


def _launched(offering: dict[str, Any], prices: Mapping[str, Document], now: datetime) -> dict[str, Any]:
    """The offering with the books that its state and its prices ask for."""
    resource = offering["resource"]
    missing = [id for id in price_ids(resource) if id not in prices]
    if missing:
        raise BadRequest(f"productOfferingPrice {missing[0]} does not exist")
    is_sold = resource["lifecycleStatus"] == LAUNCHED or (resource["lifecycleStatus"] == RETIRED and offering["publications"])
    if not is_sold:
        return offering
    listed = [(id, prices[id]["resource"]) for id in price_ids(resource)]
    for id, price in listed:
        if price["lifecycleStatus"] in _NEVER_SOLD:
            raise BadRequest(f"productOfferingPrice {id} is {price['lifecycleStatus']}: an offering is not launched with it")
    check_offering(resource)
    price_lists = terms_by_currency(listed)
    for publication in offering["publications"]:
        if publication["state"] != REFUSED and publication["currency"] not in price_lists:
            raise Conflict(f"customers pay for this offering in {publication['currency']}: keep a productOfferingPrice in that currency")
    fresh: list[dict[str, Any]] = []
    for currency, terms in price_lists.items():
        before = _last(offering["publications"], currency)
        book_id, effective_from = _book(offering, currency, before, now)
        said = {"offering": resource.get("prodSpecCharValueUse"), "terms": terms}
        if before is not None and before["said"] == said and _starts(resource, before["effective_from"], now):
            continue
        for id, price in listed:
            _check_validity(id, price, effective_from)
        text = book_text(book_id, effective_from, currency, offering["_id"], resource, terms)
        _check(text)
        fact = TariffPublished.of(book_id, text, now)
        fresh.append(
            {
                **{"id": fact.id, "book_id": book_id, "currency": currency, "text": text, "said": said},
                **{"effective_from": effective_from, "published_at": now, "state": PUBLISHED},
            }
        )
    if not fresh:
        return offering
    publications = [*offering["publications"], *fresh]
    return {**offering, "resource": {**resource, "statusReason": _reason(publications)}, "publications": publications}


def _reason(publications: Sequence[Document]) -> str:
    """What became of the newest book in each currency."""
    newest = {publication["currency"]: publication for publication in publications}
    return "; ".join(map(_told, newest.values()))[:TEXT_LENGTH_MAX]


def _told(publication: Document) -> str:
    match publication["state"]:
        case "accepted":
            return f"in force as rate book {publication['book_id']} from {publication['effective_from'].isoformat()}"
        case "refused":
            return f"rate book {publication['book_id']} was refused: {'; '.join(publication['faults'])}"
    return f"rate book {publication['book_id']} is being published"


def _last(publications: Sequence[Document], currency: str) -> Document | None:
    """What was published last in a currency, unless it was refused."""
    return next((known for known in reversed(publications) if known["currency"] == currency and known["state"] != REFUSED), None)


def _book(offering: Document, currency: str, before: Document | None, now: datetime) -> tuple[str, datetime]:
    """The id of the book that is published next, and when it takes effect: the first from the start of the offering on, even if
    that has passed; any other not before now."""
    at = now.replace(microsecond=0)
    start = offering["resource"].get("validFor", {}).get("startDateTime", at).replace(microsecond=0)
    fresh_id = BOOK_ID.format(offering_id=offering["_id"], revision=offering["revision"], currency=currency)
    if before is None:
        return fresh_id, start
    if before["effective_from"] > now:
        return before["book_id"], max(start, at)
    return fresh_id, max(start, at, before["effective_from"] + timedelta(seconds=1))


def _starts(resource: Document, effective_from: datetime, now: datetime) -> bool:
    """Whether what was published takes effect when the offering wants to."""
    start = resource.get("validFor", {}).get("startDateTime")
    return effective_from <= now or start is None or effective_from == start.replace(microsecond=0)


def _check_validity(id: str, price: Document, effective_from: datetime) -> None:
    """A price of a rate book holds from the book's first day until another book takes its place: any other validity would be
    ignored without a word."""
    validity = price.get("validFor", {})
    if "endDateTime" in validity:
        raise BadRequest(
            f"productOfferingPrice {id} has a validFor.endDateTime: a price holds until it is taken out of its offering; remove the end"
        )
    if validity.get("startDateTime", effective_from).replace(microsecond=0) > effective_from:
        raise BadRequest(
            f"productOfferingPrice {id} is valid from {validity['startDateTime'].isoformat()}, the offering is priced from "
            f"{effective_from.isoformat()}: let both begin together, or put the price in the offering when it begins"
        )


def _check(text: str) -> None:
    try:
        parse_rate_book(text, "")
    except RateBookInvalid as error:
        faults = (f"{fault.path}: {fault.message}; {fault.remedy}" for fault in error.faults)
        raise BadRequest(f"the prices do not make a rate book: {' | '.join(faults)}"[:TEXT_LENGTH_MAX]) from None
