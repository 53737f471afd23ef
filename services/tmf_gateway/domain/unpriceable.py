"""What the catalogue can say about money and no rate book would: it is refused when an offering is launched.

A price that asks less than its catalogue says is noticed on the bill only. What merely describes an offering stays with it.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher

from services.tmf_gateway.domain.book_keys import BOOK_KEYS, KNOWN_KEYS, OFFERING_KEYS, camel, snake
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.resource import Document

_ALONE = (
    "put each price in the offering by itself, and say discounts and allowances by the offering's characteristics "
    "`discounts` and `allowances`"
)
_FOR_SOME = "make an offering of their own for the customers whom it is meant for"
# What TMF620 would have change an amount or who pays it, and what to do instead.
_WITHOUT_EFFECT: Mapping[str, str] = {
    **dict.fromkeys(("percentage", "isBundle", "bundledPopRelationship", "popRelationship"), _ALONE),
    "pricingLogicAlgorithm": "say what it computes by characteristics of the price, such as `graduated` or `steps`",
    **dict.fromkeys(("constraint", "place", "productOfferingTerm"), _FOR_SOME),
}
_OF_ONE_KIND = {"unitOfMeasure": "usage", "recurringChargePeriodType": "recurring", "recurringChargePeriodLength": "recurring"}
# Of a characteristic and of its value: what would narrow down or measure what the value says.
_NOT_READ = ("validFor", "valueFrom", "valueTo", "rangeInterval", "regex", "unitOfMeasure")
_OF_OFFERINGS = (*OFFERING_KEYS, *BOOK_KEYS)
_OF_PRICES = frozenset(key for keys in KNOWN_KEYS.values() for key in keys) - set(_OF_OFFERINGS)
# Words that also describe what is sold.
_DESCRIPTIVE = frozenset(("volume", "package", "steps", "event", "after", "zone", "minimum", "maximum"))
_SAME_WORD_PERCENT = 88


def check_price(kind: str, id: str, price: Document) -> None:
    """Raises BadRequest for what a rate book would leave out of a price."""
    subject = f"productOfferingPrice {id}"
    for name, remedy in _WITHOUT_EFFECT.items():
        if price.get(name):
            raise BadRequest(f"{subject} has {name}, which would change nothing: {remedy}")
    for name, owner in _OF_ONE_KIND.items():
        if price.get(name) and owner != kind:
            raise BadRequest(f"{subject} has {name}, which is of a {owner} price: take it out of this {price['priceType']} price")
    _check_tax(subject, price.get("tax", ()))
    known = KNOWN_KEYS[kind]
    used = list(price.get("prodSpecCharValueUse", ()))
    unknown = next((name for name in map(_name, used) if snake(name) not in known), None)
    if unknown is not None:
        raise BadRequest(
            f"{subject} has a characteristic {unknown[:80]!r}, which is none of a {price['priceType']} price; "
            f"it can have {', '.join(map(camel, known))}"
        )
    _check_values(subject, used)


def check_offering(offering: Document) -> None:
    """Raises BadRequest for what looks as if it changed what an offering costs, and would not."""
    used = list(offering.get("prodSpecCharValueUse", ()))
    for characteristic in used:
        name = _name(characteristic)
        key = snake(name)
        if not name:
            raise BadRequest("the offering has a characteristic without a name")
        if key in _OF_OFFERINGS:
            if not offering.get("productOfferingPrice"):
                raise BadRequest(f"the offering has a characteristic {name!r} and no productOfferingPrice, which tells the currency")
            continue
        if key in _OF_PRICES and not (key in _DESCRIPTIVE and _is_plain(characteristic)):
            raise BadRequest(f"the offering has a characteristic {name[:80]!r}, which is of a price: say it with its productOfferingPrice")
        meant = next((known for known in _OF_OFFERINGS if _is_same_word(name, known)), None)
        if meant is not None:
            raise BadRequest(
                f"the offering has a characteristic {name[:80]!r}, which means nothing to its prices: do you mean {camel(meant)}? "
                f"Those that do are {', '.join(map(camel, _OF_OFFERINGS))}"
            )
    _check_values("the offering", [characteristic for characteristic in used if snake(_name(characteristic)) in _OF_OFFERINGS])


def _check_tax(subject: str, taxes: Iterable[Document]) -> None:
    items = list(taxes)
    if not items:
        return
    if len(items) > 1:
        raise BadRequest(f"{subject} has {len(items)} taxes, a price has one taxCategory: put the rates together in the tax table")
    if "taxCategory" not in items[0]:
        raise BadRequest(f"{subject} has a tax without a taxCategory: name a category of the tax table, which has its rate")
    own = next((name for name in ("taxRate", "taxAmount") if name in items[0]), None)
    if own is not None:
        raise BadRequest(f"{subject} has tax.{own}, which would change nothing: the rate is that of its category in the tax table")


def _check_values(subject: str, used: Iterable[Document]) -> None:
    seen: set[str] = set()
    for characteristic in used:
        name = _name(characteristic)
        if snake(name) in seen:
            raise BadRequest(f"{subject} has the characteristic {name[:80]!r} twice: make one of them, with a value for each")
        seen.add(snake(name))
        values = characteristic.get("productSpecCharacteristicValue", ())
        if not values or not all("value" in value or any(other in value for other in _NOT_READ) for value in values):
            raise BadRequest(f"{subject}: its characteristic {name[:80]!r} has no value")
        if "validFor" in characteristic:
            raise BadRequest(f"{subject}: its characteristic {name[:80]!r} has validFor, which would change nothing: leave it out")
        for value in values:
            unread = next((other for other in _NOT_READ if other in value), None)
            if unread is not None:
                raise BadRequest(
                    f"{subject}: its characteristic {name[:80]!r} has a value with {unread}, which would change nothing: "
                    "say all of it in `value`, as a rate book does"
                )


def _name(characteristic: Document) -> str:
    return str(characteristic.get("name", ""))


def _is_plain(characteristic: Document) -> bool:
    values = characteristic.get("productSpecCharacteristicValue", ())
    return not any(isinstance(value.get("value"), Mapping | list) for value in values)


def _is_same_word(name: str, key: str) -> bool:
    written, known = re.sub("[^a-z]", "", name.lower()), key.replace("_", "")
    return written.removesuffix("s") == known.removesuffix("s") or SequenceMatcher(None, written, known).ratio() * 100 >= _SAME_WORD_PERCENT
