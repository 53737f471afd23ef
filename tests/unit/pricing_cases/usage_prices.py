"""RAT-01 to RAT-45 and TIM-05: prices of single usages, and tiers of the quantity of a month.

Each case becomes a rate book, which is read and priced as any other. The steps and bands of a case stand here in the book's words.
"""

import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.contracts import ChargeTiers, RejectionReason, UsageReceived
from libs.pricing import PricedUsage, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.tiers import tiers_amount, volume_amount
from tests.unit.pricing_cases import IN_WORDS, Case
from tests.usages import usage_of

NOON = "2026-03-03T12:00:00Z"
PER_SECOND = "match: {usage_type: voice}, price: {amount: %s, per: 1 s}"
ROUND_UP = "rounding: {point: record, mode: up, decimals: 4}"
RAT_04 = (
    "setup_fee: 0.40, steps: [{from: 0 s, price: {amount: 0.20, per: 60 s}, increments: 60}, "
    f"{{from: 60 s, price: {{amount: 0.10, per: 60 s}}, increments: 1}}], {ROUND_UP}"
)
RAT_07 = (
    "setup_fee: 0.80, steps: [{from: 0 s, price: {amount: 0.40, per: 60 s}, increments: 30}, "
    f"{{from: 60 s, price: {{amount: 0.20, per: 60 s}}, increments: 10}}], {ROUND_UP}"
)
RAT_09_OFF_PEAK = (
    "setup_fee: 0.20, steps: [{from: 0 s, price: {amount: 0.10, per: 60 s}, increments: 60}, "
    f"{{from: 60 s, price: {{amount: 0.05, per: 60 s}}, increments: 1}}], {ROUND_UP}"
)
RAT_09_BANDS = "time_bands:\n  peak: {days: mon-fri, hours: 08:00-19:00}\n"
RAT_16_BANDS = "crossing: split\ntime_bands:\n  day: {days: mon-fri, hours: 00:00-18:00}\n  evening: {days: mon-fri, hours: 18:00-24:00}\n"
RAT_16 = (
    "match: {usage_type: voice, time_band: day}, price: {amount: 1, per: 1 s}, setup_fee: 1",
    "match: {usage_type: voice, time_band: evening}, price: {amount: 0.5, per: 1 s}",
)
RAT_31_TIERS = (
    "graduated: [{up_to: 10 event, price: {amount: 10, per: 1 event}, flat: 2}, "
    "{up_to: 20 event, price: {amount: 5, per: 1 event}, flat: 3}, {price: {amount: 5, per: 1 event}, flat: 3}]"
)
RAT_32_TIERS = (
    "volume: [{up_to: 100 event, price: {amount: 2, per: 1 event}, flat: 10}, {up_to: 200 event, price: {amount: 1, per: 1 event}}, "
    "{price: {amount: 0.5, per: 1 event}, flat: 50}], increments: none"
)
RAT_41_TIERS = (
    "graduated: [{up_to: 5 event, flat: 100}, {up_to: 10 event, flat: 50}, {up_to: 15 event, price: {amount: 5, per: 1 event}}, "
    "{price: {amount: 1, per: 1 event}}]"
)


def book(*prices: str, top: str = "") -> RateBooks:
    """A book with these usage prices, each the inside of a YAML flow mapping."""
    lines = "".join(f"      - {{id: p{number}, description: Calls, {price}}}\n" for number, price in enumerate(prices))
    text = f"id: book\neffective_from: 2010-01-01\ncurrency: EUR\n{top}offerings:\n  basic:\n    usage_prices:\n{lines}"
    return RateBooks([parse_rate_book(text, "book.yaml")])


def usage(quantity: Any, *, type: str = "voice", unit: str = "s", at: str = NOON, called: str | None = None, **named: str) -> UsageReceived:
    return usage_of(
        id="usage",
        identifier="ada",
        usage_type=type,
        started_at=at,
        quantity=Decimal(quantity),
        unit=unit,
        called_number=called,
        characteristics=named,
    )


def cost(books: RateBooks, of: UsageReceived) -> Fraction:
    priced = books.price_usage("basic", of, time_zone="UTC", currency="EUR")
    assert isinstance(priced, PricedUsage), priced
    return priced.amount


def voice(terms: str, quantity: Any) -> Fraction:
    return cost(book(f"match: {{usage_type: voice}}, {terms}"), usage(quantity))


def event_tiers(terms: str, quantities: Sequence[Any]) -> list[Fraction]:
    """What a month of that quantity costs, by the tiers that its charge carries."""
    books = book(f"match: {{usage_type: event}}, {terms}")
    return [_of_month(books, quantity) for quantity in quantities]


def _of_month(books: RateBooks, quantity: Any) -> Fraction:
    priced = books.price_usage("basic", usage(quantity, type="event", unit="event"), time_zone="UTC", currency="EUR")
    assert isinstance(priced, PricedUsage), priced
    assert priced.price.tiers is not None
    return priced.amount + tiers_amount(priced.price.tiers, priced.charged_quantity)


def per_second(case: Case) -> Fraction:
    books = book(f'match: {{usage_type: voice, called: "+49"}}, price: {{amount: 1, per: 1 s}}, {ROUND_UP}')
    return cost(books, usage(90, at="2013-08-07T17:30:00Z", called="+4986517174963"))


def one_message(case: Case) -> Fraction:
    books = book(f"match: {{usage_type: sms}}, price: {{amount: 0.005, per: 1 message}}, {ROUND_UP}")
    return cost(books, usage(1, type="sms", unit="message"))


def by_band(quantity: int, at: str) -> Fraction:
    prices = (f"match: {{usage_type: voice, time_band: peak}}, {RAT_07}", f"match: {{usage_type: voice}}, {RAT_09_OFF_PEAK}")
    return cost(book(*prices, top=RAT_09_BANDS), usage(quantity, at=at))


def crossing(quantity: int, at: str, **named: str) -> Fraction:
    return cost(book(*RAT_16, top=RAT_16_BANDS), usage(quantity, at=at, **named))


def nobody_has_a_price(case: Case) -> object:
    books = book('match: {usage_type: voice, called: "+34"}, price: {amount: 1, per: 1 s}')
    for offering, of in [("basic", usage(60, called="+49")), ("other", usage(60, called="+34"))]:
        answer = books.price_usage(offering, of, time_zone="UTC", currency="EUR")
        assert isinstance(answer, RejectedUsage), f"priced at {answer}"
        assert answer.reason is RejectionReason.NO_PRICE
        assert answer.detail
    return IN_WORDS


def interval_larger_than_volume(case: Case) -> list[Fraction]:
    by_ten = "match: {usage_type: event}, steps: [{from: 0, price: {amount: 1, per: 10 event}, increments: %s}]"
    return [
        cost(book(by_ten % increments), usage(quantity, type="event", unit="event"))
        for quantity, increments in [("9.9", "10"), ("9.9", "none"), ("1", "none")]
    ]


def widths_that_floats_miss(case: Case) -> Fraction:
    # Beyond its last step the case asks nothing.
    steps = (
        "steps: [{from: 0, price: {amount: 1.5, per: 0.5 event}, increments: 0.5}, "
        "{from: 2, price: {amount: 0.3, per: 3.5 event}, increments: 3.5}, {from: 6, price: {amount: 0, per: 1 event}}]"
    )
    return cost(book(f"match: {{usage_type: event}}, {steps}"), usage(10, type="event", unit="event"))


def packages(case: Case) -> list[Fraction]:
    return [
        event_tiers(f"package: {{amount: 100, per: 10 event{free}}}", [121])[0] for free in ("", ", free: 10 event", ", free: 200 event")
    ]


def percentages(case: Case) -> Fraction:
    given = case["given"]
    terms = f"rate: {given['rate_percent']}, minimum: {given['min_per_txn']}, maximum: {given['max_per_txn']}"
    books = book(f"match: {{usage_type: payment}}, percentage: {{{terms}}}")
    return sum((cost(books, usage(amount, type="payment", unit="money")) for amount in (10, 80, 10_000)), Fraction(0))


def by_unit(case: Case) -> Fraction:
    sizes = case["given"]["tiers"]
    ends = [sum(tier["size"] for tier in sizes[: number + 1]) for number in range(len(sizes) - 1)]
    tiers = [f"price: {{amount: {tier['unit']}, per: 1 event}}" for tier in sizes]
    listed = ", ".join(f"{{up_to: {end} event, {tier}}}" for end, tier in zip(ends, tiers[:-1], strict=True))
    return event_tiers(f"graduated: [{listed}, {{{tiers[-1]}}}]", [111])[0]


def by_block(case: Case) -> Fraction:
    blocks = (
        "graduated: [{up_to: 1000 event, price: {amount: 1, per: 100 event}, increments: 100 event}, "
        "{price: {amount: 1, per: 1000 event}, increments: 1000 event}]"
    )
    return event_tiers(blocks, [5325])[0]


def volume_at_edges(case: Case) -> list[Fraction]:
    tiers = (
        "volume: [{up_to: 5 event, flat: 100}, {up_to: 10 event, flat: 150}, {up_to: 15 event, price: {amount: 10, per: 1 event}}, "
        "{price: {amount: 5, per: 1 event}}]"
    )
    return event_tiers(tiers, case["do"])


def prorated_volume(case: Case) -> Fraction:
    offering = book(f"match: {{usage_type: event}}, {RAT_32_TIERS}").offering("basic", usage(1).started_at, "EUR", "UTC")
    assert offering is not None
    tiers = offering.usage_prices[0].model.terms  # type: ignore[union-attr]
    assert isinstance(tiers, ChargeTiers)
    return volume_amount(tiers, counted=Decimal(case["given"]["full_units"]), priced=case["given"]["prorated_units"])


def tiny_increment(case: Case) -> object:
    books = book("match: {usage_type: data}, price: {amount: 0.01, per: 1 MB}, increments: 1 byte")
    of = usage(10 * 10**9, type="data", unit="byte")
    tracemalloc.start()
    try:
        assert cost(books, of) == 100
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # No loop ran over ten thousand million increments: not in any memory, and so not in any time.
    assert peak_bytes < 100_000
    return IN_WORDS


CASES = {
    "RAT-01": per_second,
    "RAT-03": one_message,
    "RAT-04": lambda case: voice(RAT_04, 130),
    "RAT-05": lambda case: voice(RAT_04, 20),
    "RAT-07": lambda case: voice(RAT_07, 20),
    "RAT-09": lambda case: by_band(90, "2016-01-06T19:00:00Z"),
    "RAT-11": lambda case: by_band(120, "2014-12-07T08:42:26Z"),
    "RAT-13": lambda case: voice("price: {amount: 0.1, per: 60 s}, rounding: {point: record, mode: half_up, decimals: 4}", 180),
    "RAT-15": lambda case: voice("price: {amount: 0.033, per: 1 s}, rounding: {point: record, mode: down, decimals: 1}", 10),
    "RAT-16": lambda case: crossing(3600, "2012-02-02T17:30:00Z"),
    "RAT-17": lambda case: crossing(3600, "2012-02-02T17:30:00Z", continuation="true"),
    "RAT-19": lambda case: crossing(3621, "2012-02-08T22:50:00Z"),
    "RAT-21": nobody_has_a_price,
    "RAT-23": lambda case: voice("price: {amount: 0.01, per: 1 s}, maximum: 0.62", 70),
    "RAT-25": lambda case: [voice("price: {amount: 0.006, per: 60 s}, increments: 30/6", quantity) for quantity in (32, 57, 75)],
    "RAT-27": interval_larger_than_volume,
    "RAT-29": widths_that_floats_miss,
    "RAT-31": lambda case: event_tiers(RAT_31_TIERS, case["do"]),
    "RAT-32": lambda case: event_tiers(RAT_32_TIERS, case["do"]),
    "RAT-33": packages,
    "RAT-35": percentages,
    "RAT-37": by_unit,
    "RAT-39": by_block,
    "RAT-41": lambda case: event_tiers(RAT_41_TIERS, [22])[0],
    "RAT-43": volume_at_edges,
    "RAT-45": prorated_volume,
    "TIM-05": tiny_increment,
}
