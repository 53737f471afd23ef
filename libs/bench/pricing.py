"""`tarifa bench pricing`: usages per second that pricing alone prices on one core, from usages in memory to exact amounts.

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

from libs.contracts import UsageReceived
from libs.pricing import PricedUsage, RateBooks, parse_rate_book

PREFIX_COUNT = 10_000
ZONE_COUNT = 100
OFFERING_COUNT = 1_000
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
        }
        return {**{name: median(of) for name, of in runs.items()}, "runs": runs}

    def _price(self, books: RateBooks, usages: Sequence[UsageReceived], offerings: Sequence[str], say: Say, what: str) -> list[int]:
        rates = []
        for _ in range(self.runs):
            gc.collect()
            started = time.perf_counter()
            priced = [
                books.price_usage(offering, usage, time_zone=TIME_ZONE, currency=CURRENCY)
                for offering, usage in zip(offerings, usages, strict=True)
            ]
            elapsed_s = time.perf_counter() - started
            assert all(isinstance(each, PricedUsage) for each in priced), "the bench's own usages have prices"
            rates.append(int(len(usages) / elapsed_s))
        say(f"{what}: {', '.join(f'{rate:,}/s' for rate in rates)}")
        return rates


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


def _bands() -> str:
    return "time_bands:\n" + "".join(f"  {name}: {{hours: {hours}}}\n" for name, hours in BANDS.items())


def _books(parts: str) -> RateBooks:
    text = f"id: bench\neffective_from: 2020-01-01\ncurrency: {CURRENCY}\n{parts}"
    return RateBooks([parse_rate_book(text, "bench.yaml")])
