"""Usage prices that nothing reaches, that leave a gap, or that are free among others that cost."""

from collections.abc import Iterable, Iterator

from libs.pricing import Fault
from libs.pricing.rate_book import Offering
from libs.pricing.roaming import ABROAD
from libs.pricing.usage_price import Rate, Step, Tiers, UsagePrice
from libs.tariffs.review.table_prices import prices_in

EVERY_NUMBER = "+"


def price_warnings(offering: Offering) -> Iterator[Fault]:
    """What is odd about the usage prices of an offering."""
    yield from _unreached(offering)
    for usage_type in dict.fromkeys(price.match.usage_type for price in offering.usage_prices):
        prices = [price for price in offering.usage_prices if price.match.usage_type == usage_type]
        yield from _without_rest_of_world(usage_type, prices)
        yield from _without_roaming(usage_type, prices)
        yield from _free_among_charged(prices)


def _unreached(offering: Offering) -> Iterator[Fault]:
    reached = {each.price_id for table in offering.tables.values() for each in prices_in(table)}
    for price in offering.usage_prices:
        home = price.match.home_networks
        if home and price.match.networks and all(code.startswith(home) for code in price.match.networks):
            yield price.place.fault(
                f"nothing reaches price {price.id!r}: its networks are home networks, and usage there is at home",
                "leave out its network, or remove it from `home_networks`",
            )
        elif price.id not in reached:
            yield price.place.fault(
                f"nothing reaches price {price.id!r}: other prices go before it at all times", "remove it, or its rivals"
            )


def _without_rest_of_world(usage_type: str, prices: Iterable[UsagePrice]) -> Iterator[Fault]:
    """The last price of a usage type by called numbers, where numbers of other countries have none."""
    by_number = [price for price in prices if price.match.called]
    everywhere = any(not price.match.called or EVERY_NUMBER in price.match.called for price in prices)
    if not everywhere and any(prefix.startswith(EVERY_NUMBER) for price in by_number for prefix in price.match.called):
        yield by_number[-1].place.fault(
            f"{usage_type} to all other numbers has no price: it waits in suspense",
            f'add a price with `called: "{EVERY_NUMBER}"` for the rest of the world',
        )


def _without_roaming(usage_type: str, prices: Iterable[UsagePrice]) -> Iterator[Fault]:
    """The first price of a usage type, where usage abroad has no price and the operator has networks of its own."""
    at_home = [price for price in prices if price.match.home_networks and not price.match.is_abroad]
    if at_home and not any(ABROAD in price.match.places for price in prices):
        listed = any(price.match.networks for price in prices)
        where = "in networks that no price lists" if listed else "abroad"
        yield at_home[0].place.fault(
            f"{usage_type} {where} has no price: it waits in suspense", "add a price with `roaming: only`, or say `roaming: included`"
        )


def _free_among_charged(prices: Iterable[UsagePrice]) -> Iterator[Fault]:
    """Free prices that others of the type surround. A range of numbers within a charged country is free on purpose."""
    charged = [price for price in prices if not _is_free(price)]
    for price in prices:
        is_short_code = price.match.called and not any(prefix.startswith(EVERY_NUMBER) for prefix in price.match.called)
        if not charged or not _is_free(price) or is_short_code or price.match.characteristics:
            continue
        if not (price.match.called and all(_lies_within(prefix, charged) for prefix in price.match.called)):
            yield price.place.fault(
                f"price {price.id!r} is free, and {price.match.usage_type} otherwise costs something, as {charged[0].id!r} does",
                "give it an amount, unless it is meant to be free",
            )


def _lies_within(prefix: str, charged: Iterable[UsagePrice]) -> bool:
    return any(prefix != other and prefix.startswith(other) for price in charged for other in price.match.called)


def _is_free(price: UsagePrice) -> bool:
    if price.setup_fee.digits or (price.minimum is not None and price.minimum.digits):
        return False
    match price.model:
        case Rate(amount=amount):
            return not amount.digits
        case Tiers():
            return False
    return all(isinstance(step, Step) and not step.rate.amount.digits for step in price.model)
