"""One-time prices of a rate book. One that is charged at an event becomes a usage price of that usage type."""

from libs.pricing.book_terms import BookTerms
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.one_time_price import ChargedAt, OneTimePrice
from libs.pricing.roaming import Roaming
from libs.pricing.usage_price import UsagePrice
from libs.pricing.usage_price_reader import read_usage_price
from libs.pricing.yaml_source import Mapping, Node, Scalar

EVENT = "event"
CHARGED_AT = (*(charged_at.value for charged_at in ChargedAt), EVENT)
REQUIRED = ("id", "description", "amount", "charged_at")


def read_one_time_price(node: Node, terms: BookTerms) -> OneTimePrice | UsagePrice | None:
    """None when an event's price has a fault."""
    reader = terms.reader
    fields = reader.fields(node, REQUIRED, ("event", "tax_category"))
    charged_at = reader.value(fields.get("charged_at"), _parse_charged_at, "")
    if charged_at == EVENT:
        return _price_of_event(fields, node, terms)
    if charged_at and "event" in fields:
        reader.refuse(fields["event"], f"`event` is given, but the price is charged at {charged_at}", "write `charged_at: event`")
    return OneTimePrice(
        price_id=terms.declare(fields.get("id")),
        description=reader.text(fields.get("description")),
        amount=reader.value(fields.get("amount"), parse_number, ExactNumber(0)).to_decimal(),
        currency=terms.currency,
        charged_at=ChargedAt(charged_at) if charged_at else ChargedAt.ACTIVATION,
        tax_category=reader.identifier(fields.get("tax_category")) or None,
        rate_book=terms.rate_book,
        line_rounding=terms.rounding.line,
        is_tax_included=terms.is_tax_included,
    )


def _price_of_event(fields: dict[str, Node], node: Node, terms: BookTerms) -> UsagePrice | None:
    if "event" not in fields:
        terms.reader.refuse(fields["charged_at"], "which event is not said", "add `event:` with the usage type of its records")
        return None
    if not fields.keys() >= set(REQUIRED):
        return None
    # Read as what it is short for, with the places where its parts were written.
    price = {"amount": fields["amount"], "per": Scalar("1 event", node.place)}
    kept = {name: value for name, value in fields.items() if name in ("id", "description", "tax_category")}
    match: dict[str, Node] = {"usage_type": fields["event"]}
    if terms.home_networks is not None:
        # What somebody did is charged wherever they were.
        match["roaming"] = Scalar(Roaming.INCLUDED.value, node.place)
    written = {**kept, "match": _mapping(match, node), "price": _mapping(price, node)}
    return read_usage_price(_mapping(written, node), terms)


def _mapping(entries: dict[str, Node], node: Node) -> Mapping:
    return Mapping(entries, {key: value.place for key, value in entries.items()}, node.place)


def _parse_charged_at(text: str) -> str:
    if text not in CHARGED_AT:
        raise Unreadable(f"unknown occasion {text[:80]!r}", suggest(text, CHARGED_AT, f"use {', '.join(CHARGED_AT)}"))
    return text
