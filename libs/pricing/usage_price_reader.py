"""Usage prices of a rate book: what they match and what they ask."""

from functools import partial

from libs.pricing.book_terms import BookTerms
from libs.pricing.called_prefix import parse_prefix
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.increments import ONE_BY_ONE, parse_increments
from libs.pricing.reader import Reader
from libs.pricing.unit import UnitQuantity, parse_unit_quantity
from libs.pricing.usage_price import NUMERATOR_MAX, CompiledPrice, UsageMatch, UsagePrice, compile_price, greatest_numerator
from libs.pricing.yaml_source import Node

ZERO = ExactNumber(0)


def read_usage_price(node: Node, terms: BookTerms) -> UsagePrice | None:
    """None when it has a fault: half a price would only seem to tie with others."""
    reader = terms.reader
    faults_before = len(reader.faults)
    fields = reader.fields(node, ("id", "description", "match", "price"), ("increments", "setup_fee", "tax_category"))
    asked = reader.fields(fields.get("price"), ("amount", "per"))
    per = reader.value(asked.get("per"), parse_unit_quantity, None)
    price = UsagePrice(
        id=terms.declare(fields.get("id")),
        description=reader.text(fields.get("description")),
        match=_match(fields.get("match"), terms),
        amount=reader.value(asked.get("amount"), parse_number, ZERO),
        per=per or UnitQuantity(ExactNumber(1), "event", "event"),
        increments=reader.value(fields.get("increments"), partial(parse_increments, per=per), ONE_BY_ONE) if per else ONE_BY_ONE,
        setup_fee=reader.value(fields.get("setup_fee"), parse_number, ZERO),
        tax_category=reader.identifier(fields.get("tax_category")) or None,
        place=node.place,
    )
    return price if len(reader.faults) == faults_before else None


def compiled(price: UsagePrice, terms: BookTerms) -> CompiledPrice:
    """The price as integers; refused when they have too many digits."""
    whole = compile_price(price, terms.currency, terms.rate_book)
    if greatest_numerator(whole) > NUMERATOR_MAX:
        terms.reader.faults.append(
            price.place.fault("amount, unit, increments and set-up fee have too many digits together", "use fewer decimals")
        )
    return whole


def _match(node: Node | None, terms: BookTerms) -> UsageMatch:
    reader = terms.reader
    fields = reader.fields(node, ("usage_type",), ("called", "zone", "time_band"))
    if "called" in fields and "zone" in fields:
        reader.refuse(fields["called"], "both `called` and `zone` are given", "keep one of the two")
    called = read_prefixes(fields["called"], reader) if "called" in fields else ()
    return UsageMatch(
        usage_type=reader.identifier(fields.get("usage_type")),
        called=reader.reference(fields.get("zone"), terms.zones, "zone") or called,
        time_band=reader.reference(fields.get("time_band"), terms.bands, "time band"),
    )


def read_prefixes(node: Node, reader: Reader) -> tuple[str, ...]:
    prefixes: dict[str, None] = {}
    for item in reader.items(node):
        prefix = reader.value(item, parse_prefix, None)
        if prefix in prefixes:
            reader.refuse(item, f"prefix {prefix} is listed twice", "remove one of the two")
        elif prefix is not None:
            prefixes[prefix] = None
    return tuple(prefixes)
