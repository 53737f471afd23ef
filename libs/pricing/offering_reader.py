"""An offering of a rate book: usage prices with the tables that find them, fees, allowances and adjustments."""

from libs.pricing.adjustment_reader import KEYS as ADJUSTMENT_KEYS
from libs.pricing.adjustment_reader import read_adjustments
from libs.pricing.book_terms import BookTerms
from libs.pricing.one_time_price import OneTimePrice
from libs.pricing.one_time_reader import read_one_time_price
from libs.pricing.price_table import build_tables
from libs.pricing.rate_book import Offering
from libs.pricing.recurring_reader import read_recurring_price
from libs.pricing.time_band import divide_week
from libs.pricing.usage_price import UsagePrice
from libs.pricing.usage_price_reader import compiled, read_usage_price
from libs.pricing.yaml_source import Node


def read_offering(name: str, node: Node, terms: BookTerms, *, sound_names: bool) -> Offering:
    """The offering; `sound_names` is False when zones or bands have faults, so that ties would only seem to be some."""
    reader = terms.reader
    fields = reader.fields(node, (), ("usage_prices", "recurring_prices", "one_time_prices", *ADJUSTMENT_KEYS))
    usage_prices = [read_usage_price(item, terms) for item in reader.items(fields.get("usage_prices"))]
    recurring_prices = [read_recurring_price(item, terms) for item in reader.items(fields.get("recurring_prices"))]
    one_time_prices = [read_one_time_price(item, terms) for item in reader.items(fields.get("one_time_prices"))]
    usage_prices += [price for price in one_time_prices if isinstance(price, UsagePrice)]
    sound = tuple(price for price in usage_prices if price is not None) if sound_names else ()
    tables, ties = build_tables([(price, compiled(price, terms)) for price in sound], divide_week(tuple(terms.bands.values())))
    reader.faults.extend(ties)
    adjustments = read_adjustments(fields, terms)
    return Offering(
        name,
        terms.currency,
        terms.rate_book,
        sound,
        tuple(recurring_prices),
        tables,
        node.place,
        adjustments=adjustments,
        one_time_prices=tuple(price for price in one_time_prices if isinstance(price, OneTimePrice)),
    )
