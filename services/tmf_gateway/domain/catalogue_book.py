"""Prices of the catalogue as terms of a rate book, and back: TMF620's words for what it has words for, and for the rest
characteristics named as the book's own keys, in camel case.

    priceType, price, unitOfMeasure, recurringChargePeriod…, tax    amount, per, period, tax_category
    prodSpecCharValueUse: usageType, called, increments, setupFee, graduated …    the same keys of the price
    prodSpecCharValueUse of the offering: allowances, discounts, zones, timeBands …    those of the offering or of the book
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import yaml

from libs.pricing.book_format import CURRENT_FORMAT
from libs.pricing.roaming import NO_HOME_NETWORK
from services.tmf_gateway.domain.book_keys import (
    BOOK_KEYS,
    LISTS,
    MATCH_KEYS,
    OFFERING_KEYS,
    ONE_TIME_KEYS,
    RECURRING_KEYS,
    USAGE_KEYS,
    camel,
    snake,
)
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document
from services.tmf_gateway.domain.unpriceable import check_price

PRICE_TYPES = {"usage_prices": "usage", "recurring_prices": "recurring", "one_time_prices": "oneTime"}
# A book says something of each of its offerings; this is so anyway.
_WITHOUT_PRICES = {"crossing": "start"}
_PERIODS = {"daily": "day", "weekly": "week", "monthly": "month", "quarterly": "quarter", "yearly": "year", "annual": "year"}
_PERIOD = re.compile(r"(?:(\d+)\s+)?([a-z]+?)s?")

Terms = dict[str, Any]


class _Texts(yaml.SafeDumper):
    """Writes every value out: a rate book has no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def book_text(book_id: str, effective_from: datetime, currency: str, offering_id: str, offering: Document, terms: Terms) -> str:
    """A rate book of one offering in the current format; `terms` are those of its prices.

    An offering without `homeNetworks` has none: usage in any network that it names needs a price for roaming.
    """
    used = _characteristics(offering)
    book = {
        "id": book_id,
        "format": str(CURRENT_FORMAT),
        "home_networks": NO_HOME_NETWORK,
        "effective_from": effective_from.isoformat(timespec="seconds"),
        "currency": currency,
        **_chosen(used, BOOK_KEYS),
        "offerings": {offering_id: {**terms, **_chosen(used, OFFERING_KEYS)} or _WITHOUT_PRICES},
    }
    return yaml.dump(book, Dumper=_Texts, sort_keys=False, allow_unicode=True, width=120)


def offering_terms(offering: Document) -> Terms:
    """What an offering says beside its prices, by the keys of the offering and of the book."""
    return _chosen(_characteristics(offering), (*OFFERING_KEYS, *BOOK_KEYS))


def terms_by_currency(prices: Iterable[tuple[str, Document]]) -> dict[str, Terms]:
    """The price lists that the productOfferingPrices make, one per currency. `prices` are ids with resources.
    Raises BadRequest for one that is no price of its own."""
    books: dict[str, Terms] = {}
    for id, price in prices:
        kind = re.sub(r"[^a-z]|charge|price", "", str(price.get("priceType", "")).lower())
        currency = price.get("price", {}).get("unit")
        if kind not in LISTS:
            raise BadRequest(f"productOfferingPrice {id}: priceType must be recurring, oneTime or usage for the offering to be launched")
        if not currency:
            raise BadRequest(f"productOfferingPrice {id} lacks price.unit, the currency")
        check_price(kind, id, price)
        books.setdefault(currency, {}).setdefault(LISTS[kind], []).append(_term(kind, id, price))
    return books


def shown_price(list_key: str, currency: str, term: Mapping[str, Any]) -> dict[str, Any]:
    """The productOfferingPrice of a term of a book: what `terms_by_currency` makes the same term of."""
    shown: dict[str, Any] = {"name": term["description"], "priceType": PRICE_TYPES[list_key], "price": {"unit": currency}}
    asked = term.get("price", {})
    amount = asked.get("amount", term.get("amount"))
    if amount is not None:
        shown["price"]["value"] = Decimal(amount)
    if "per" in asked:
        count, unit = asked["per"].split()
        shown["unitOfMeasure"] = {"amount": Decimal(count), "units": unit}
    period = _PERIOD.fullmatch(term.get("period", ""))
    if period:
        shown |= {"recurringChargePeriodType": period[2], "recurringChargePeriodLength": int(period[1] or 1)}
    if "tax_category" in term:
        shown["tax"] = [{"taxCategory": term["tax_category"]}]
    known = {"usage_prices": USAGE_KEYS, "recurring_prices": RECURRING_KEYS, "one_time_prices": ONE_TIME_KEYS}[list_key]
    extra = {**_chosen(term.get("match", {}), MATCH_KEYS), **_chosen(term, known)}
    if extra:
        shown["prodSpecCharValueUse"] = shown_characteristics(extra)
    return shown


def shown_characteristics(terms: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Terms as characteristics."""
    return [
        {"name": camel(key), "productSpecCharacteristicValue": [{"value": item} for item in (value if _is_plain_list(value) else [value])]}
        for key, value in terms.items()
    ]


def shown_offering_terms(offering: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The characteristics of an offering of a book, and of what the book declares for it."""
    return shown_characteristics(_chosen(offering, (*OFFERING_KEYS, *BOOK_KEYS)))


def _term(kind: str, id: str, price: Document) -> Terms:
    used = _characteristics(price)
    term: Terms = {"id": id, "description": price["name"]}
    amount = price["price"].get("value")
    if kind == "usage":
        term["match"] = _chosen(used, MATCH_KEYS)
        if amount is not None:
            measure = {"amount": 1, "units": "event", **price.get("unitOfMeasure", {})}
            term["price"] = {"amount": _text(amount), "per": f"{_text(measure['amount'])} {measure['units']}"}
        term |= _chosen(used, USAGE_KEYS)
    else:
        if amount is not None:
            term["amount"] = _text(amount)
        if kind == "recurring":
            term |= {"period": _period(price), **_chosen(used, RECURRING_KEYS)}
        else:
            term |= {"charged_at": "activation", **_chosen(used, ONE_TIME_KEYS)}
    category = next((tax["taxCategory"] for tax in price.get("tax", ()) if "taxCategory" in tax), None)
    return term if category is None else {**term, "tax_category": category}


def _period(price: Document) -> str:
    written = str(price.get("recurringChargePeriodType", "month")).lower()
    unit = _PERIODS.get(written, written)
    length = price.get("recurringChargePeriodLength", 1)
    return unit if length == 1 else f"{length} {unit}s"


def _characteristics(resource: Document) -> Terms:
    """Each characteristic by the key of the book that it is named after."""
    return dict(_used(resource.get("prodSpecCharValueUse", ())))


def _used(characteristics: Iterable[Document]) -> Iterator[tuple[str, Any]]:
    for characteristic in characteristics:
        values = [_text(value["value"]) for value in characteristic.get("productSpecCharacteristicValue", ()) if "value" in value]
        if values and "name" in characteristic:
            yield snake(characteristic["name"]), values[0] if len(values) == 1 else values


def _chosen(terms: Mapping[str, Any], keys: Iterable[str]) -> Terms:
    return {key: terms[key] for key in keys if key in terms}


def _text(value: Any) -> Any:
    """A value of JSON as a rate book writes it."""
    if isinstance(value, Mapping):
        return {str(key): _text(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_text(member) for member in value]
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _is_plain_list(value: Any) -> bool:
    # A list of one would come back as the one.
    return isinstance(value, list) and len(value) > 1
