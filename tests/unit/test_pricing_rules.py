"""The rules of pricing, as tables: which price a usage gets, what of it is charged, what it costs, when it is refused."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from msgspec.structs import replace

from libs.contracts import QUANTITY_MAX, RejectionReason, UsageReceived
from libs.periods import UnknownTimeZone
from libs.pricing import PricedUsage, RateBooks, RejectedUsage, parse_rate_book
from tests.usages import usage_of

TUESDAY_NOON = datetime(2026, 3, 3, 12, tzinfo=UTC)


def usage(quantity: str = "60", *, called: str | None = "+34911234567", at: datetime = TUESDAY_NOON, unit: str = "s") -> UsageReceived:
    return usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type="voice",
        started_at=at,
        quantity=Decimal(quantity),
        unit=unit,
        called_number=called,
    )


def books(*usage_prices: str, book: str = "book", effective_from: str = "2026-01-01", top: str = "") -> RateBooks:
    """One book with one offering, `basic`; a usage price is written as the inside of a YAML flow mapping."""
    prices = "".join(f"      - {{description: Calls, {price}}}\n" for price in usage_prices)
    return RateBooks([parse_rate_book(book_text(prices, book, effective_from, top), f"{book}.yaml")])


def book_text(prices: str, book: str = "book", effective_from: str = "2026-01-01", top: str = "") -> str:
    return f"id: {book}\neffective_from: {effective_from}\ncurrency: EUR\n{top}offerings:\n  basic:\n    usage_prices:\n{prices}"


def calls(price_id: str, amount: str = "0.10", match: str = "") -> str:
    return f"id: {price_id}, match: {{usage_type: voice{', ' if match else ''}{match}}}, price: {{amount: {amount}, per: 60 s}}"


def price(priced_by: RateBooks, of: UsageReceived, *, time_zone: str = "UTC", currency: str = "EUR") -> PricedUsage:
    priced = priced_by.price_usage("basic", of, time_zone=time_zone, currency=currency)
    assert isinstance(priced, PricedUsage), priced
    return priced


@pytest.mark.parametrize(
    ("increments", "quantity", "charged"),
    [
        ("1/1", "0", "0"),
        ("1/1", "73", "73"),
        ("1/1", "72.000001", "73"),
        ("1/1", "1E-400", "1"),
        ("1/1", "1E-2000000", "1"),
        ("1/1", "7.2E+1", "72"),
        ("1/1", "1000000000000000000", "1000000000000000000"),
        ("60/1", "1", "60"),
        ("60/1", "60", "60"),
        ("60/1", "60.5", "61"),
        ("60/1", "61", "61"),
        ("30/6", "29", "30"),
        ("30/6", "30", "30"),
        ("30/6", "31", "36"),
        ("30/6", "36", "36"),
        ("30/6", "36.01", "42"),
        ("30/6", "1000000", "1000002"),
        ("60/60", "61", "120"),
        ("1/60", "1", "1"),
        ("1/60", "2", "61"),
        ("0.5/0.1", "0", "0"),
        ("0.5/0.1", "0.2", "0.5"),
        ("0.5/0.1", "0.51", "0.6"),
        ("0.5/0.1", "0.6", "0.6"),
        ("0.5/0.1", "1E-2000000", "0.5"),
        ("0.5/0.1", "0.60000000000000000000000000000000000000000000000001", "0.7"),
        ("1 min/6 s", "61", "66"),
        ("1 h", "3601", "7200"),
    ],
)
def test_a_quantity_is_rounded_up_to_its_increments(increments: str, quantity: str, charged: str) -> None:
    priced = price(books(f"{calls('calls', '0.60')}, increments: {increments}"), usage(quantity))
    assert priced.charged_quantity == Decimal(charged)
    assert Fraction(priced.numerator, priced.denominator) == Fraction(charged) / 100


@pytest.mark.parametrize(
    ("amount", "per", "setup_fee", "increments", "quantity", "numerator", "denominator"),
    [
        ("0.17", "60 s", "0", "1", "73", 17 * 73, 100 * 60),
        ("0.170", "60 s", "0", "1", "73", 17 * 73, 100 * 60),
        ("0.085", "60 s", "0", "1", "73", 85 * 73, 1000 * 60),
        ("2", "60 s", "0", "1", "73", 2 * 73, 60),
        ("0", "60 s", "0", "1", "73", 0, 60),
        ("0.10", "60 s", "0.15", "60/1", "61", 10 * 61 // 10 * 10 + 15 * 60, 100 * 60),
        ("0.1", "60 s", "0.15", "1", "0", 0, 100 * 60),
        ("0.2", "0.5 s", "0", "1", "3", 2 * 3 * 10, 10 * 5),
        ("0.2", "60 s", "0.01", "0.5", "1.2", 20 * 15 + 60 * 10, 100 * 60 * 10),
        ("1.5", "1 h", "0", "1 s", "1", 15, 10 * 3600),
    ],
)
def test_the_exact_amount_is_a_fraction_with_the_denominator_of_its_price(
    amount: str, per: str, setup_fee: str, increments: str, quantity: str, numerator: int, denominator: int
) -> None:
    asked = f"price: {{amount: {amount}, per: {per}}}, setup_fee: {setup_fee}, increments: {increments}"
    priced = price(books(f"id: calls, match: {{usage_type: voice}}, {asked}"), usage(quantity))
    assert (priced.numerator, priced.denominator) == (numerator, denominator)


def test_a_setup_fee_is_added_once_and_only_to_a_usage_with_a_quantity() -> None:
    with_fee = books(f"{calls('calls', '0')}, setup_fee: 0.15")
    amounts = [price(with_fee, usage(quantity)) for quantity in ("0", "0.0", "-0", "0.001", "1", "100000")]
    assert [Fraction(priced.numerator, priced.denominator) for priced in amounts] == [0, 0, 0, *[Fraction("0.15")] * 3]


def test_a_priced_usage_says_all_that_a_charge_needs() -> None:
    priced = price(books(f"{calls('calls')}, tax_category: reduced"), usage("73"))
    assert (priced.price_id, priced.charged_quantity, priced.numerator, priced.denominator) == ("calls", 73, 73, 600)
    assert (priced.currency, priced.rate_book) == ("EUR", "book")
    assert (priced.price.description, priced.price.usage_type, priced.price.unit) == ("Calls", "voice", "s")
    assert priced.price.tax_category == "reduced"


MATCHES = books(
    calls("any"),
    calls("any-night", match="time_band: night"),
    calls("international", match='called: "+"'),
    calls("spain", match="zone: spain"),
    calls("spain-night", match="zone: spain, time_band: night"),
    calls("madrid", match='called: "+3491"'),
    calls("premium-day", match='called: "+34803", time_band: day'),
    calls("emergency", match='called: ["112", "061"]'),
    top='zones:\n  spain: ["+34", "+3471"]\ntime_bands:\n  day: {hours: 08:00-20:00}\n  night: {hours: 20:00-08:00}\n',
)


@pytest.mark.parametrize(
    ("called", "hour", "price_id"),
    [
        (None, 12, "any"),
        (None, 21, "any-night"),
        ("", 12, "any"),
        ("*100#", 12, "any"),
        ("0034911", 12, "any"),
        ("+", 12, "international"),
        ("+4930", 12, "international"),
        ("+4930", 21, "international"),
        ("+3", 12, "international"),
        ("+34", 12, "spain"),
        ("+3460", 12, "spain"),
        ("+3460", 21, "spain-night"),
        ("+3471", 12, "spain"),
        ("+349", 12, "spain"),
        ("+3491", 12, "madrid"),
        ("+34911234567", 12, "madrid"),
        ("+34911234567", 21, "madrid"),
        ("+34803111222", 12, "premium-day"),
        ("+34803111222", 21, "spain-night"),
        ("112", 3, "emergency"),
        ("1123", 3, "emergency"),
        ("11", 12, "any"),
        ("+34" * 21, 12, "spain"),
    ],
)
def test_the_longest_prefix_wins_and_then_the_time_band(called: str | None, hour: int, price_id: str) -> None:
    assert price(MATCHES, usage(called=called, at=TUESDAY_NOON.replace(hour=hour))).price_id == price_id


def test_bands_may_overlap_where_another_prefix_or_usage_type_decides() -> None:
    overlapping = books(
        calls("peak", match='called: "+34", time_band: peak'),
        calls("weekend", match='called: "+", time_band: weekend'),
        top="time_bands:\n  peak: {hours: 08:00-20:00}\n  weekend: {days: sat-sun}\n",
    )
    saturday_noon, saturday_night = datetime(2026, 3, 7, 12, tzinfo=UTC), datetime(2026, 3, 7, 22, tzinfo=UTC)
    assert price(overlapping, usage(at=saturday_noon)).price_id == "peak"
    assert price(overlapping, usage(at=saturday_night)).price_id == "weekend"


def refused(answer: PricedUsage | RejectedUsage) -> tuple[str, str]:
    assert isinstance(answer, RejectedUsage), answer
    return answer.reason.value, answer.detail


@pytest.mark.parametrize(
    ("of", "currency", "offering", "reason", "detail"),
    [
        (usage("-1"), "EUR", "basic", "negative-quantity", "quantity -1 is negative"),
        (usage("-1E-50"), "EUR", "basic", "negative-quantity", "quantity -1E-50 is negative"),
        (usage("1E+19"), "EUR", "basic", "absurd-quantity", "quantity 1E+19 exceeds 1E+18"),
        (usage("1000000000000000000.1"), "EUR", "basic", "absurd-quantity", "quantity 1000000000000000000.1 exceeds 1E+18"),
        (usage("1E+999999"), "EUR", "basic", "absurd-quantity", "quantity 1E+999999 exceeds 1E+18"),
        (
            usage(),
            "USD",
            "basic",
            "wrong-currency",
            "rate book 'book' prices offering 'basic' in EUR, the account pays in USD",
        ),
        (usage(unit="byte"), "EUR", "basic", "wrong-unit", "price 'calls' of offering 'basic' counts s, the usage byte"),
        (
            usage(),
            "EUR",
            "other",
            "no-price",
            "no rate book effective at 2026-03-03T12:00:00+00:00 has offering 'other'",
        ),
        (
            usage(at=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
            "EUR",
            "basic",
            "no-price",
            "no rate book effective at 2025-12-31T23:59:59+00:00 has offering 'basic'",
        ),
        (
            usage(called="+1415"),
            "EUR",
            "basic",
            "no-price",
            "offering 'basic' has no price for voice to +1415 at 2026-03-03T12:00:00+00:00 (UTC) in rate book 'book'",
        ),
        (
            replace(usage(called=None), usage_type="sms"),
            "EUR",
            "basic",
            "no-price",
            "offering 'basic' has no price for sms at 2026-03-03T12:00:00+00:00 (UTC) in rate book 'book'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value and " " not in value else "",
)
def test_a_usage_that_cannot_be_priced_is_refused_with_its_reason(
    of: UsageReceived, currency: str, offering: str, reason: str, detail: str
) -> None:
    answer = books(calls("calls", match='called: "+34"')).price_usage(offering, of, time_zone="UTC", currency=currency)
    assert refused(answer) == (reason, detail)


def test_a_gap_between_time_bands_has_no_price() -> None:
    gap = books(calls("day", match="time_band: day"), top="time_bands:\n  day: {hours: 08:00-20:00}\n")
    night = usage(at=TUESDAY_NOON.replace(hour=22))
    answer = gap.price_usage("basic", night, time_zone="UTC", currency="EUR")
    assert refused(answer)[0] == RejectionReason.NO_PRICE


def test_the_greatest_quantity_is_priced_within_the_digits_that_a_charge_can_add() -> None:
    finest = books(
        f"id: data, match: {{usage_type: voice}}, price: {{amount: 0.123456789, per: 1 s}}, increments: 0.001, setup_fee: {10**8}"
    )
    priced = price(finest, usage(str(QUANTITY_MAX)))
    assert len(str(priced.numerator)) <= 31


def test_an_unknown_time_zone_is_an_error_of_the_caller() -> None:
    with pytest.raises(UnknownTimeZone):
        price(MATCHES, usage(called="+3460"), time_zone="Mars/Olympus")


def test_a_usage_is_priced_by_the_newest_book_effective_when_it_started() -> None:
    texts = {
        "first": book_text(f"      - {{description: Calls, {calls('calls', '0.10')}}}\n", "first", "2026-01-01"),
        "second": book_text(
            f"      - {{description: Calls, {calls('calls', '0.20')}}}\n", "second", "2026-03-01", "time_zone: Europe/Madrid\n"
        ),
        "third": book_text(f"      - {{description: Calls, {calls('calls', '0.30')}}}\n", "third", "2026-04-01T06:00:00+02:00"),
    }
    # Whatever the order in which they are given.
    versions = RateBooks([parse_rate_book(texts[name], name) for name in ("second", "third", "first")])
    priced_by = {
        datetime(2026, 1, 1, tzinfo=UTC): "first",
        datetime(2026, 2, 28, 22, 59, 59, 999000, tzinfo=UTC): "first",
        datetime(2026, 2, 28, 23, tzinfo=UTC): "second",
        datetime(2026, 4, 1, 3, 59, 59, tzinfo=UTC): "second",
        datetime(2026, 4, 1, 4, tzinfo=UTC): "third",
        datetime(9999, 12, 31, 23, 59, tzinfo=UTC): "third",
    }
    assert {at: price(versions, usage(at=at)).rate_book for at in priced_by} == priced_by


def test_an_offering_that_a_newer_book_leaves_out_keeps_its_price() -> None:
    older = book_text(f"      - {{description: Calls, {calls('calls')}}}\n", "older")
    newer = book_text(f"      - {{description: Calls, {calls('calls')}}}\n", "newer", "2026-02-01").replace("basic", "premium")
    both = RateBooks([parse_rate_book(older, "older"), parse_rate_book(newer, "newer")])
    assert price(both, usage()).rate_book == "older"


def test_a_usage_type_that_a_newer_book_leaves_out_of_an_offering_has_no_price_from_then_on() -> None:
    calls_only, texts_only = (f"      - {{description: Usage, {calls('any')}}}\n".replace("voice", type) for type in ("voice", "sms"))
    texts = {
        "first": book_text(calls_only, "first"),
        "second": book_text(texts_only, "second", "2026-02-01"),
        "third": book_text(calls_only, "third", "2026-04-01"),
    }
    versions = RateBooks([parse_rate_book(text, name) for name, text in texts.items()])
    assert price(versions, usage(at=datetime(2026, 1, 31, tzinfo=UTC))).rate_book == "first"
    assert price(versions, usage(at=datetime(2026, 4, 1, tzinfo=UTC))).rate_book == "third"
    answer = versions.price_usage("basic", usage(at=datetime(2026, 2, 1, tzinfo=UTC)), time_zone="UTC", currency="EUR")
    reason, detail = refused(answer)
    assert (reason, "in rate book 'second'" in detail) == ("no-price", True)


FEES = """
id: fees-{number}
effective_from: {effective_from}
currency: EUR
offerings:
  basic:
    recurring_prices:
      - {{id: monthly-fee, description: Monthly fee, amount: {amount}, period: month, tax_category: standard}}
      - {{id: insurance, description: Insurance, amount: 2, period: month}}
"""


def test_recurring_prices_are_those_of_the_newest_effective_book() -> None:
    versions = RateBooks(
        [
            parse_rate_book(FEES.format(number=number, effective_from=date, amount=amount), date)
            for number, (date, amount) in enumerate([("2026-01-01", "9.99"), ("2026-02-01", "12.50")])
        ]
    )
    before, after = datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert [str(fee.amount) for fee in versions.recurring_prices("basic", before, None, "UTC")] == ["9.99", "2"]
    fee, insurance = versions.recurring_prices("basic", after, None, "UTC")
    assert (fee.price_id, fee.description, str(fee.amount), fee.currency) == ("monthly-fee", "Monthly fee", "12.5", "EUR")
    assert (str(fee.period), fee.tax_category, fee.rate_book, insurance.tax_category) == ("month", "standard", "fees-1", None)


def test_an_offering_that_no_book_knows_has_no_recurring_prices() -> None:
    assert RateBooks([]).recurring_prices("basic", TUESDAY_NOON, None, "UTC") == ()
