"""Whatever a rate book says: once it loads it prices any usage or refuses it with a reason, and its explanation adds up."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from libs.contracts import UsageReceived
from libs.pricing import PricedUsage, RateBookInvalid, RateBooks, RejectedUsage, parse_rate_book
from libs.pricing.explanation import explain

PER = {
    "s": ("1 s", "60 s", "1 min", "7 s", "0.5 s"),
    "byte": ("1 byte", "1 kB", "1 KiB", "1000 TB"),
    "event": ("1 event", "3 event", "0.7 event"),
    "message": ("1 message",),
    "money": ("1 money", "100 money"),
}
numbers = st.sampled_from(["0", "1", "0.17", "0.000000000001", "999999999999999", "7.77", "0.333333333333", "1000"])
modes = st.sampled_from(["half_up", "half_even", "half_down", "up", "down"])
zones = st.sampled_from(["UTC", "Europe/Madrid", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia", "Africa/Monrovia"])
# Clocks that change, a leap day, the end of a year and of the calendar, a day that Samoa never had.
instants = st.sampled_from(
    [
        datetime(2026, 3, 29, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 4, 4, 14, 45, tzinfo=UTC),
        datetime(2024, 2, 29, 23, 59, 59, 999000, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 30, tzinfo=UTC),
        datetime(2011, 12, 29, 12, tzinfo=UTC),
        datetime(9999, 11, 30, tzinfo=UTC),
    ]
)
bands = st.sampled_from(["night", "feast"])
quantities = st.sampled_from(["0", "1", "59.9999999", "61", "1E+18", "0.0000001", "2592000", "1E-30", "-1", "123456789.123456789"])


def maybe(draw: st.DrawFn, text: str) -> list[str]:
    return [text] if draw(st.booleans()) else []


@st.composite
def models(draw: st.DrawFn) -> list[str]:
    """The keys of a price that say what it asks."""
    unit = draw(st.sampled_from(sorted(PER)))

    def rate() -> str:
        return f"{{amount: {draw(numbers)}, per: {draw(st.sampled_from(PER[unit]))}}}"

    match draw(st.sampled_from(["price", "steps", "tiers", "package", "percentage"])):
        case "price":
            keys = [f"price: {rate()}", *maybe(draw, "minimum: 0.001"), *maybe(draw, "maximum: 5")]
        case "steps":
            starts = ("0", "2", "5.5")[: draw(st.integers(1, 3))]
            return ["steps: [" + ", ".join(f"{{from: {start} {unit}, price: {rate()}}}" for start in starts) + "]"]
        case "tiers":
            bounded = [
                f"{{up_to: {end} {unit}, price: {rate()}, flat: {draw(numbers)}}}" for end in ("2", "10.5")[: draw(st.integers(0, 2))]
            ]
            keys = [f"{draw(st.sampled_from(['graduated', 'volume']))}: [{', '.join([*bounded, f'{{price: {rate()}}}'])}]"]
            keys += maybe(draw, "counted: record")
        case "package":
            keys = [f"package: {{amount: {draw(numbers)}, per: {draw(st.sampled_from(PER[unit]))}, free: 3 {unit}}}"]
        case _:
            return [f"percentage: {{rate: {draw(numbers)}, fixed: {draw(numbers)}, minimum: 1}}"]
    return [
        *keys,
        *maybe(draw, f"increments: {draw(st.sampled_from(['none', f'60 {unit}/1 {unit}', f'0.5 {unit}']))}"),
        *maybe(draw, "setup_fee: 0.3"),
    ]


@st.composite
def prices(draw: st.DrawFn, position: int) -> str:
    match = [f"usage_type: {draw(st.sampled_from(['voice', 'data']))}", *maybe(draw, "time_band: night"), *maybe(draw, "time_band: feast")][
        :2
    ]
    match += [*maybe(draw, 'called: "+34"'), *maybe(draw, 'visited_network: "214"'), *maybe(draw, "characteristics: {class: [gold]}")]
    rounding = f"rounding: {{point: {draw(st.sampled_from(['line', 'record']))}, mode: {draw(modes)}}}"
    keys = [f"id: p{position}", "description: A price", f"match: {{{', '.join(match)}}}", *draw(models()), *maybe(draw, rounding)]
    return f"      - {{{', '.join(keys)}}}"


@st.composite
def books(draw: st.DrawFn) -> str:
    return "\n".join(
        [
            "id: any",
            "effective_from: 1900-01-01",
            f"currency: {draw(st.sampled_from(['EUR', 'JPY', 'KWD']))}",
            f"crossing: {draw(st.sampled_from(['start', 'split']))}",
            "holidays: {feasts: [2026-03-29, 2026-10-25, 2024-02-29]}",
            'time_bands: {night: {hours: "22:00-06:00"}, feast: {holidays: feasts}}',
            "offerings:",
            "  plan:",
            "    usage_prices:",
            *(draw(prices(position)) for position in range(draw(st.integers(1, 3)))),
        ]
    )


@st.composite
def usages(draw: st.DrawFn) -> UsageReceived:
    return UsageReceived(
        id="u-1",
        identifier="+34600000001",
        usage_type=draw(st.sampled_from(["voice", "data"])),
        started_at=draw(instants),
        quantity=Decimal(draw(quantities)),
        unit=draw(st.sampled_from(sorted(PER))),
        called_number=draw(st.sampled_from([None, "+34911234567", "112"])),
        characteristics=draw(st.sampled_from([{}, {"class": "gold"}, {"visited_network": "21401"}, {"continuation": "true"}])),
    )


@settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
@given(books(), st.lists(usages(), min_size=4, max_size=8), zones)
def test_a_book_that_loads_prices_any_usage_or_says_why_not(text: str, some: list[UsageReceived], zone: str) -> None:
    try:
        book = parse_rate_book(text, "any.yaml")
    except RateBookInvalid:
        reject()
    rate_books = RateBooks([book])
    for usage in some:
        answer = rate_books.price_usage("plan", usage, time_zone=zone, currency=book.currency)
        if isinstance(answer, RejectedUsage):
            assert answer.detail
            continue
        assert isinstance(answer, PricedUsage)
        assert all(part.numerator >= 0 and part.denominator == answer.denominator for part in answer.parts)
        *steps, amount = explain(rate_books, "plan", usage, time_zone=zone, currency=book.currency)
        assert amount.topic == "amount"
        assert sum((step.amount or 0) for step in steps) == amount.amount == answer.amount
