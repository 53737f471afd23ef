"""`tarifa bench pricing`: usages per second that pricing alone prices on one core, from usages in memory to exact amounts.

A second is one of that core's time, so that what else runs on the machine takes less from the figures.
The usages are the same for all books: calls to 10,000 prefixes at any hour of the week, in a random order that is always the same.
"""

import gc
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median

from libs.billing.adjustments import Adjustment, adjust
from libs.billing.remainders import SummedLine
from libs.contracts import ChargeKind, ChargeTiers, UsageReceived
from libs.money import round_to_minor_unit
from libs.pricing import PricedUsage, RateBooks, parse_rate_book
from libs.pricing.allowance import Bucket
from libs.pricing.allowance_payment import pay
from libs.pricing.allowance_sources import Holder, Sources, find_sources
from libs.pricing.tiers import tiers_amount

PREFIX_COUNT = 10_000
ZONE_COUNT = 100
OFFERING_COUNT = 1_000
CUSTOMER_COUNT = 2_500
NOTHING = Decimal(0)
BANDS = {"morning": "06:00-12:00", "afternoon": "12:00-18:00", "evening": "18:00-23:00", "night": "23:00-06:00"}
TIME_ZONE = "Europe/Madrid"
CURRENCY = "EUR"
SEED = 20260301
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
SECONDS_PER_WEEK = 7 * 24 * 3600

Say = Callable[[str], None]


@dataclass(frozen=True)
class PricingBench:
    """The sizes of a measurement."""

    usages: int
    runs: int

    def measure(self, say: Say) -> dict[str, object]:
        """The medians of several runs of each book, and the runs."""
        chance = random.Random(SEED)
        usages = [_call(number, chance) for number in range(self.usages)]
        offerings = [f"offering-{number}" for number in range(OFFERING_COUNT)]
        prefixes, many = _prefix_book(), _offerings_book(offerings)
        runs = {
            "standard_usages_per_s": self._price(prefixes, usages, ["basic"] * len(usages), say, "10,000 prefixes in 4 time bands"),
            "thousand_offerings_usages_per_s": self._price(
                many, usages, chance.choices(offerings, k=len(usages)), say, "1,000 offerings, one after the other at random"
            ),
            "combined_usages_per_s": self._bill(_combined_book(), usages, chance.choices(range(CUSTOMER_COUNT), k=len(usages)), say),
        }
        return {**{name: median(of) for name, of in runs.items()}, "runs": runs}

    def _price(self, books: RateBooks, usages: Sequence[UsageReceived], offerings: Sequence[str], say: Say, what: str) -> list[int]:
        rates = []
        for _ in range(self.runs):
            gc.collect()
            started = time.process_time()
            priced = [
                books.price_usage(offering, usage, time_zone=TIME_ZONE, currency=CURRENCY)
                for offering, usage in zip(offerings, usages, strict=True)
            ]
            elapsed_s = time.process_time() - started
            assert all(isinstance(each, PricedUsage) for each in priced), "the bench's own usages have prices"
            rates.append(int(len(usages) / elapsed_s))
        say(f"{what}: {', '.join(f'{rate:,}/s' for rate in rates)}")
        return rates

    def _bill(self, books: RateBooks, usages: Sequence[UsageReceived], customers: Sequence[int], say: Say) -> list[int]:
        """A month of customers: each usage priced, and paid from an allowance as far as that goes; then tiers and discounts."""
        rates = []
        for _ in range(self.runs):
            gc.collect()
            started = time.process_time()
            month = _Month(books)
            for customer, usage in zip(customers, usages, strict=True):
                month.count(customer, usage)
            discounts = month.discounts()
            elapsed_s = time.process_time() - started
            assert len(discounts) == len(set(customers)), "every customer has a discount"
            rates.append(int(len(usages) / elapsed_s))
        say(f"graduated price, allowance and discount of {CUSTOMER_COUNT:,} customers: {', '.join(f'{rate:,}/s' for rate in rates)}")
        return rates


class _Month:
    """What customers used in a month. As in rating, sources of allowances are found once for each of them, and buckets kept in memory."""

    def __init__(self, books: RateBooks) -> None:
        self._books = books
        offering = books.offering("basic", MONDAY, CURRENCY, "UTC")
        assert offering is not None, "the bench's own offering"
        self._offering = offering
        self._sources: dict[int, tuple[Sources]] = {}
        self._buckets: dict[str, Bucket] = {}
        self._quantities: dict[int, Decimal] = {}
        self._tiers: ChargeTiers | None = None

    def count(self, customer: int, usage: UsageReceived) -> None:
        priced = self._books.price_usage("basic", usage, time_zone=TIME_ZONE, currency=CURRENCY)
        assert isinstance(priced, PricedUsage), "the bench's own usages have prices"
        sources = self._sources.get(customer)
        if sources is None:
            sources = self._sources[customer] = (self._find(customer, priced, usage),)
            self._tiers = priced.price.tiers
        payment = pay(priced, sources, self._buckets, usage.called_number)
        if payment.takes:
            self._buckets.update(payment.buckets)
        self._quantities[customer] = self._quantities.get(customer, NOTHING) + payment.priced.charged_quantity

    def discounts(self) -> list[list[Adjustment]]:
        assert self._tiers is not None, "a month has usage"
        first_day = MONDAY.date()
        found = []
        for quantity in self._quantities.values():
            amount = round_to_minor_unit(tiers_amount(self._tiers, quantity), CURRENCY)
            line = SummedLine("calls", ChargeKind.USAGE, None, amount, first_day)
            found.append(adjust(self._offering.adjustments, [line], first_day, CURRENCY, committed_share=None))
        return found

    def _find(self, customer: int, priced: PricedUsage, usage: UsageReceived) -> Sources:
        holder = Holder(
            since=MONDAY,
            time_zone=TIME_ZONE,
            terms_at=lambda id, at: self._offering.allowances[0],
            bucket_id=lambda allowance, period: f"customer-{customer}|{allowance.id}",
        )
        return find_sources(self._offering.allowances, priced.price, holder, usage.started_at)


def _call(number: int, chance: random.Random) -> UsageReceived:
    prefix = chance.randrange(PREFIX_COUNT)
    return UsageReceived(
        id=f"call-{number}",
        identifier="+34600000000",
        usage_type="voice",
        started_at=MONDAY + timedelta(seconds=chance.randrange(SECONDS_PER_WEEK)),
        quantity=Decimal(chance.randrange(1, 3600)),
        unit="s",
        called_number=f"+{_prefix(prefix)}{chance.randrange(10**6):06}",
    )


def _prefix(number: int) -> str:
    """Five to seven digits, none of which begins another: the first says how many there are."""
    return f"{1 + number % 3}{number:04}{'0' * (number % 3)}"


def _prefix_book() -> RateBooks:
    zones = [[f'"+{_prefix(number)}"' for number in range(zone, PREFIX_COUNT, ZONE_COUNT)] for zone in range(ZONE_COUNT)]
    prices = "".join(
        f"      - {{id: z{zone}-{band}, description: Calls, match: {{usage_type: voice, zone: z{zone}, time_band: {band}}}, "
        f"price: {{amount: 0.{zone + 1:03}, per: 60 s}}, increments: 30/6}}\n"
        for zone in range(ZONE_COUNT)
        for band in BANDS
    )
    listed = "".join(f"  z{number}: [{', '.join(prefixes)}]\n" for number, prefixes in enumerate(zones))
    return _books(f"zones:\n{listed}{_bands()}offerings:\n  basic:\n    usage_prices:\n{prices}")


def _offerings_book(offerings: Sequence[str]) -> RateBooks:
    priced = "".join(
        f"  {offering}:\n    usage_prices:\n"
        + "".join(
            f"      - {{id: {band}, description: Calls, match: {{usage_type: voice, called: '+', time_band: {band}}}, "
            f"price: {{amount: 0.{number + 1:04}, per: 60 s}}, increments: 30/6}}\n"
            for band in BANDS
        )
        for number, offering in enumerate(offerings)
    )
    return _books(f"{_bands()}offerings:\n{priced}")


def _combined_book() -> RateBooks:
    return _books(
        """offerings:
  basic:
    usage_prices:
      - id: calls
        description: Calls
        match: {usage_type: voice}
        increments: 30/6
        graduated:
          - {up_to: 10 h, price: {amount: 0.10, per: 60 s}}
          - {price: {amount: 0.05, per: 60 s}}
    allowances:
      - {id: minutes, description: 500 minutes, amount: 500 min, recurrence: month}
    discounts:
      - {id: loyalty, description: 10 percent less, percent: 10}
"""
    )


def _bands() -> str:
    return "time_bands:\n" + "".join(f"  {name}: {{hours: {hours}}}\n" for name, hours in BANDS.items())


def _books(parts: str) -> RateBooks:
    text = f"id: bench\neffective_from: 2020-01-01\ncurrency: {CURRENCY}\n{parts}"
    return RateBooks([parse_rate_book(text, "bench.yaml")])
