"""An offering of a rate book: usage prices with the tables that find them, fees, allowances and adjustments."""

from dataclasses import replace

from libs.pricing.adjustment_reader import KEYS as ADJUSTMENT_KEYS
from libs.pricing.adjustment_reader import read_adjustments, read_tax_inclusion
from libs.pricing.allowance_reader import read_allowances
from libs.pricing.allowance_scale import counted_for_money
from libs.pricing.book_terms import BookTerms
from libs.pricing.one_time_price import OneTimePrice
from libs.pricing.one_time_reader import read_one_time_price
from libs.pricing.price_table import build_tables
from libs.pricing.rate_book import Offering
from libs.pricing.recurring_reader import read_recurring_price
from libs.pricing.roaming import Roaming
from libs.pricing.rounding_reader import read_rounding
from libs.pricing.time_band import divide_week
from libs.pricing.usage_price import UsagePrice
from libs.pricing.usage_price_reader import compiled, read_crossing, read_usage_price
from libs.pricing.yaml_source import Node

KEYS = ("usage_prices", "recurring_prices", "one_time_prices", "allowances", "rounding", "crossing", *ADJUSTMENT_KEYS)


def read_offering(name: str, node: Node, terms: BookTerms, *, sound_names: bool) -> Offering:
    """The offering; `sound_names` is False when zones or bands have faults, so that ties would only seem to be some."""
    reader, currency = terms.reader, terms.currency
    fields = reader.fields(node, (), KEYS)
    rounding = read_rounding(fields.get("rounding"), terms.rounding, currency, reader)
    terms = replace(terms, rounding=rounding, splits=read_crossing(fields.get("crossing"), reader, terms.splits))
    terms = replace(terms, is_tax_included=read_tax_inclusion(fields.get("tax"), reader))
    usage_prices = [read_usage_price(item, terms) for item in reader.items(fields.get("usage_prices"))]
    recurring_prices = [read_recurring_price(item, terms) for item in reader.items(fields.get("recurring_prices"))]
    one_time_prices = [read_one_time_price(item, terms) for item in reader.items(fields.get("one_time_prices"))]
    usage_prices += [price for price in one_time_prices if isinstance(price, UsagePrice)]
    usage_price_ids = tuple(terms.declared)
    sound = tuple(price for price in usage_prices if price is not None) if sound_names else ()
    week = divide_week(tuple(terms.bands.values()), tuple(terms.holidays.items()))
    placed = [at_place for price in sound for at_place in _by_place(price)]
    whole = [compiled(price, terms) for price in placed]
    allowances = read_allowances(fields.get("allowances"), terms, usage_price_ids, whole if len(sound) == len(usage_prices) else ())
    tables, ties = build_tables(list(zip(placed, counted_for_money(whole, allowances), strict=True)), week)
    reader.faults.extend(ties)
    fee_ids = [price.price_id for price in recurring_prices]
    fee_ids += [price.price_id for price in one_time_prices if isinstance(price, OneTimePrice)]
    adjustments = read_adjustments(fields, terms, usage_price_ids, fee_ids)
    return Offering(
        name,
        terms.currency,
        terms.rate_book,
        sound,
        tuple(recurring_prices),
        tables,
        node.place,
        adjustments=adjustments,
        is_tax_included=terms.is_tax_included,
        week=week,
        allowances=allowances,
        home_networks=terms.home_networks,
        one_time_prices=tuple(price for price in one_time_prices if isinstance(price, OneTimePrice)),
    )


def _by_place(price: UsagePrice) -> tuple[UsagePrice, ...]:
    """The price, or one for usage at home and one for usage abroad: allowances may pay for one of them alone."""
    match = price.match
    if match.home_networks is None or match.networks or match.roaming is not Roaming.INCLUDED:
        return (price,)
    return tuple(replace(price, match=replace(match, roaming=roaming)) for roaming in (Roaming.EXCLUDED, Roaming.ONLY))
