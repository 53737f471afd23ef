"""The prices that the tables of an offering lead to."""

from collections.abc import Iterator

from libs.pricing.compiled_price import CompiledPrice
from libs.pricing.price_table import CharacteristicTable, NetworkTable, PriceTable, RoamingTable, UsageTable


def prices_in(table: UsageTable) -> Iterator[CompiledPrice]:
    """All prices of a table, some of them several times."""
    match table:
        case PriceTable():
            for prices in (*table.by_prefix.values(), table.otherwise):
                yield from (price for price in prices if price is not None)
        case NetworkTable():
            for of_code in (*table.by_code.values(), table.otherwise):
                yield from prices_in(of_code)
        case RoamingTable():
            yield from prices_in(table.at_home)
            yield from prices_in(table.abroad)
        case CharacteristicTable():
            # Made for each combination of values when usage comes: all prices are taken for reached.
            yield from (compiled for _, compiled in table.prices)
