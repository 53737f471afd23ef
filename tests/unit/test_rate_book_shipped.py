"""The rate books that come with the project price what their words say."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from libs.pricing import PricedUsage, RateBooks, load_rate_books
from libs.pricing.tiers import tiers_amount
from tests.usages import usage_of

RATE_BOOKS = Path(__file__).parents[2] / "deploy/rate-books"


@pytest.fixture(scope="module")
def shipped() -> RateBooks:
    return load_rate_books(RATE_BOOKS)


@pytest.mark.parametrize(
    ("called", "local_hour", "price_id", "per_minute"),
    [
        ("+14155550100", 8, "voice-day", "0.17"),
        ("+14155550100", 17, "voice-day", "0.17"),
        ("+14155550100", 18, "voice-evening", "0.085"),
        ("+14155550100", 21, "voice-evening", "0.085"),
        ("+14155550100", 22, "voice-night", "0.045"),
        ("+14155550100", 0, "voice-night", "0.045"),
        ("+14155550100", 7, "voice-night", "0.045"),
        ("+442071838750", 8, "voice-international", "0.27"),
        ("+442071838750", 23, "voice-international", "0.27"),
    ],
)
def test_the_churn_tariff_prices_calls_by_the_second(
    shipped: RateBooks, called: str, local_hour: int, price_id: str, per_minute: str
) -> None:
    # New York is five hours behind UTC in January; its late evening is the next day in UTC.
    started_at = datetime.fromisoformat(f"2026-01-16T{local_hour:02}:30:00-05:00")
    usage = usage_of(
        id="call",
        identifier="+12125550100",
        usage_type="voice",
        started_at=started_at,
        quantity=Decimal(73),
        unit="s",
        called_number=called,
    )
    priced = shipped.price_usage("churn-plan", usage, time_zone="America/New_York", currency="USD")
    assert isinstance(priced, PricedUsage)
    assert (priced.price_id, priced.charged_quantity, priced.price.tax_category) == (price_id, 73, None)
    assert Fraction(priced.numerator, priced.denominator) == 73 * Fraction(per_minute) / 60


def test_the_churn_tariff_has_no_recurring_price(shipped: RateBooks) -> None:
    assert shipped.recurring_prices("churn-plan", datetime(2026, 1, 1, tzinfo=UTC), None, "UTC") == ()


@pytest.mark.parametrize(
    ("usage_type", "quantity", "unit", "called", "day", "price_id", "amount"),
    [
        # 2 January 2026 is a Friday.
        ("voice", "1", "s", "+34911234567", 2, "voice-national", "0.25"),
        ("voice", "90", "s", "+34911234567", 2, "voice-national", "0.30"),
        ("voice", "90", "s", "+34911234567", 3, "voice-national-weekend", "0.225"),
        ("voice", "31", "s", "+33123456789", 3, "voice-european", "0.264"),
        ("voice", "61", "s", "+14155550100", 2, "voice-world", "2.28"),
        ("sms", "2", "message", "+34611234567", 2, "sms-national", "0.18"),
        ("sms", "1", "message", "+33611234567", 2, "sms-international", "0.25"),
        ("data", "1500000", "byte", None, 2, "data", "0.015"),
        ("data", "1", "byte", None, 2, "data", "0.00001"),
    ],
)
def test_the_mobile_tariff_prices_calls_messages_and_data(
    shipped: RateBooks, usage_type: str, quantity: str, unit: str, called: str | None, day: int, price_id: str, amount: str
) -> None:
    usage = usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type=usage_type,
        started_at=datetime(2026, 1, day, 12, tzinfo=UTC),
        quantity=Decimal(quantity),
        unit=unit,
        called_number=called,
    )
    priced = shipped.price_usage("mobile-basic", usage, time_zone="Europe/Madrid", currency="EUR")
    assert isinstance(priced, PricedUsage)
    assert (priced.price_id, Fraction(priced.numerator, priced.denominator)) == (price_id, Fraction(amount))


def test_the_mobile_tariff_has_a_monthly_fee(shipped: RateBooks) -> None:
    (fee,) = shipped.recurring_prices("mobile-basic", datetime(2026, 1, 1, tzinfo=UTC), None, "UTC")
    assert (fee.price_id, fee.amount, fee.currency, str(fee.period)) == ("monthly-fee", Decimal("9.99"), "EUR", "month")


# Offering, usage type, quantity, called number, network, start in the account's zone, price and exact amount. 4 March 2026 is a
# Wednesday, 12 October 2026 a Monday and a holiday.
RECORDS = """
mobile-prepaid  voice            90 s            +34911234567   -      2026-03-04T10:00:00+01:00  voice                   0.425
mobile-prepaid  voice            90 s            +34911234567   -      2026-03-04T21:00:00+01:00  voice-leisure           0.275
mobile-prepaid  voice            60 s            +34911234567   -      2026-03-05T07:59:59+01:00  voice-leisure           0.25
mobile-prepaid  voice            60 s            +34911234567   -      2026-03-07T11:00:00+01:00  voice-leisure           0.25
mobile-prepaid  voice            60 s            +34911234567   -      2026-10-12T11:00:00+02:00  voice-leisure           0.25
mobile-prepaid  voice            60 s            +34911234567   -      2026-10-13T11:00:00+02:00  voice                   0.35
mobile-prepaid  voice            61 s            +442071838750  -      2026-03-04T10:00:00+01:00  voice-world             1.50
mobile-prepaid  voice            700 s           +442071838750  -      2026-03-04T10:00:00+01:00  voice-world             6.80
mobile-prepaid  voice            2400 s          +34803123456   -      2026-03-04T10:00:00+01:00  voice-premium           30
mobile-prepaid  voice            61 s            +34803123456   -      2026-03-04T10:00:00+01:00  voice-premium           2.40
mobile-prepaid  voice            25 s            123            -      2026-03-04T10:00:00+01:00  voice-mailbox           0.025
mobile-prepaid  voice            8 s             123            -      2026-03-04T10:00:00+01:00  voice-mailbox           0
mobile-prepaid  voice            300 s           112            -      2026-03-04T10:00:00+01:00  voice-emergency         0
mobile-prepaid  voice            31 s            +34911234567   20801  2026-03-04T10:00:00+01:00  voice-union             0.2775
mobile-prepaid  voice            31 s            +34911234567   72405  2026-03-04T10:00:00+01:00  voice-elsewhere         1.90
mobile-prepaid  sms              1 message       +33611234567   -      2026-03-04T10:00:00+01:00  sms                     0.10
mobile-prepaid  data             250001 byte     -              -      2026-03-04T10:00:00+01:00  data                    0.006
mobile-prepaid  data             1000000 byte    -              20801  2026-03-04T10:00:00+01:00  data-union              0.02
mobile-prepaid  data             3000000 byte    -              31026  2026-03-04T10:00:00+01:00  data-elsewhere          6
mobile-prepaid  data             40000000 byte   -              31026  2026-03-04T10:00:00+01:00  data-elsewhere          50
mobile-smart    voice            61 s            +34911234567   -      2026-03-04T10:00:00+01:00  voice-national          61/750
mobile-smart    voice            31 s            +34911234567   20801  2026-03-04T10:00:00+01:00  voice-union             31/750
mobile-smart    voice            45 s            +34911234567   72405  2026-03-04T10:00:00+01:00  voice-elsewhere         1.50
mobile-smart    voice            31 s            +33123456789   -      2026-03-04T10:00:00+01:00  voice-european          0.114
mobile-smart    voice            61 s            +14155550100   -      2026-03-04T10:00:00+01:00  voice-world             1.88
mobile-smart    sms              1 message       +34611234567   -      2026-03-04T10:00:00+01:00  sms                     0.09
mobile-smart    data             1500001 byte    -              21407  2026-03-04T10:00:00+01:00  data-union              0.003
mobile-smart    data             1000000 byte    -              -      2026-03-04T10:00:00+01:00  data                    0.0015
mobile-smart    data             10000000 byte   -              31041  2026-03-04T10:00:00+01:00  data-north-america      0.30
mobile-smart    data             150000 byte     -              72405  2026-03-04T10:00:00+01:00  data-elsewhere          1.20
mobile-smart    purchase         4.99 money      -              -      2026-03-04T10:00:00+01:00  purchases               5.14
mobile-smart    sim-replacement  1 event         -              -      2026-03-04T10:00:00+01:00  sim-replacement         6
mobile-family   voice            600 s           +34911234567   -      2026-03-04T10:00:00+01:00  voice                   0
mobile-family   voice            61 s            +33123456789   -      2026-03-04T10:00:00+01:00  voice-abroad            427/1200
mobile-family   sms              3 message       +34611234567   -      2026-03-04T10:00:00+01:00  sms                     0.15
fibre-300       voice            90 s            +34911234567   -      2026-03-04T10:00:00+01:00  landline-working-hours  0.06
fibre-300       voice            90 s            +34911234567   -      2026-03-04T21:00:00+01:00  landline                0.03
fibre-300       voice            120 s           +34911234567   -      2026-03-04T19:59:00+01:00  landline-working-hours  0.06
fibre-300       voice            60 s            +34911234567   -      2026-10-12T10:00:00+02:00  landline                0.02
fibre-300       voice            30 s            +34612345678   -      2026-03-04T10:00:00+01:00  mobile                  0.22
fibre-300       voice            600 s           +34900123456   -      2026-03-04T10:00:00+01:00  freephone               0
fibre-300       voice            30 s            +34902123456   -      2026-03-04T10:00:00+01:00  shared-cost             0.14
fibre-300       voice            10 s            +33123456789   -      2026-03-04T10:00:00+01:00  world                   0.70
fibre-300       voice            120 s           +33123456789   -      2026-03-04T10:00:00+01:00  world                   1.05
fibre-300       film             1 event         -              -      2026-03-04T22:00:00+01:00  film                    3.99
fibre-300       technician-visit 1 event         -              -      2026-03-04T10:00:00+01:00  technician              35
fibre-1000      voice            3600 s          +34911234567   -      2026-03-04T10:00:00+01:00  national                0
fibre-1000      voice            90 s            +34612345678   -      2026-03-04T10:00:00+01:00  mobile                  0.12
fibre-1000      voice            61 s            +33123456789   -      2026-03-04T10:00:00+01:00  world                   427/1200
fibre-1000      film             1 event         -              -      2026-03-04T22:00:00+01:00  film                    2.99
iot-meter       sms              1 message       +4915123456    -      2026-03-04T10:00:00+01:00  sms                     0.04
iot-tracker     data             1500 byte       -              26201  2026-03-04T10:00:00+01:00  data                    0.0005
iot-tracker     data             15000 byte      -              42402  2026-03-04T10:00:00+01:00  data-expensive          0.05
iot-tracker     sms              1 message       +4915123456    -      2026-03-04T10:00:00+01:00  sms                     0.06
"""


@pytest.mark.parametrize("line", RECORDS.strip().splitlines(), ids=lambda line: " ".join(line.split()))
def test_each_offering_prices_believable_usages(shipped: RateBooks, line: str) -> None:
    offering, usage_type, quantity, unit, called, network, starts, price_id, amount = line.split()
    characteristics = {} if network == "-" else {"visited_network": network}
    priced = price(shipped, offering, usage_type, quantity, unit, starts, None if called == "-" else called, characteristics)
    assert (priced.price_id, priced.amount) == (price_id, Fraction(amount))


@pytest.mark.parametrize(
    ("offering", "usage_type", "quantity", "unit", "characteristics", "price_id", "amount"),
    [
        ("iot-tracker", "data", "1000", "byte", {"access": "satellite"}, "data-satellite", "0.01"),
        ("iot-tracker", "data", "10000", "byte", {"access": "satellite"}, "data-satellite", "0.04"),
        # What a satellite carries costs the same wherever it is: a characteristic goes before a network.
        ("iot-tracker", "data", "10000", "byte", {"access": "satellite", "visited_network": "42402"}, "data-satellite", "0.04"),
        ("iot-tracker", "data", "10000", "byte", {"access": "lte-m"}, "data", "0.0025"),
        ("iot-platform", "device-message", "3", "event", {"priority": "high"}, "alarm", "0.006"),
    ],
)
def test_characteristics_choose_the_price(
    shipped: RateBooks,
    offering: str,
    usage_type: str,
    quantity: str,
    unit: str,
    characteristics: dict[str, str],
    price_id: str,
    amount: str,
) -> None:
    priced = price(shipped, offering, usage_type, quantity, unit, "2026-03-04T10:00:00+01:00", None, characteristics)
    assert (priced.price_id, priced.amount) == (price_id, Fraction(amount))


@pytest.mark.parametrize(
    ("offering", "usage_type", "quantity", "unit", "called", "amount"),
    [
        ("mobile-family", "data", "10000000000", "byte", None, "10"),
        ("mobile-family", "data", "12000000001", "byte", None, "11.50"),
        ("fibre-business", "voice", "6000", "s", "+34911234567", "6"),
        ("fibre-business", "voice", "60000", "s", "+34911234567", "42"),
        ("fibre-business", "voice", "66000", "s", "+34911234567", "44"),
        ("fibre-business", "voice", "3600", "s", "+33123456789", "18"),
        ("fibre-business", "voice", "3601", "s", "+33123456789", "3601/300"),
        ("fibre-business", "fax", "50", "event", None, "0"),
        ("fibre-business", "fax", "51", "event", None, "5"),
        ("fibre-business", "fax", "250", "event", None, "10"),
        ("fibre-business", "fax", "251", "event", None, "15"),
        ("iot-meter", "data", "1000000", "byte", None, "0.10"),
        ("iot-meter", "data", "1000001", "byte", None, "0.10008"),
        ("iot-meter", "data", "2500000", "byte", None, "0.22"),
        ("iot-meter", "data", "20000000", "byte", None, "1.32"),
        ("iot-platform", "device-message", "1000000", "event", None, "100"),
        ("iot-platform", "device-message", "1000001", "event", None, "60.00006"),
        ("iot-platform", "device-message", "20000000", "event", None, "600"),
        ("iot-platform", "command", "5000", "event", None, "0"),
        ("iot-platform", "command", "5001", "event", None, "2"),
        ("iot-platform", "command", "7500", "event", None, "6"),
    ],
)
def test_what_is_counted_over_the_month_costs_by_all_of_it(
    shipped: RateBooks, offering: str, usage_type: str, quantity: str, unit: str, called: str | None, amount: str
) -> None:
    priced = price(shipped, offering, usage_type, quantity, unit, "2026-03-04T10:00:00+01:00", called, {})
    assert priced.amount == 0
    assert priced.price.tiers is not None
    assert tiers_amount(priced.price.tiers, Decimal(quantity)) == Fraction(amount)


@pytest.mark.parametrize(
    ("offering", "fees"),
    [
        ("mobile-prepaid", []),
        ("mobile-smart", ["monthly-fee 24.9 month advance"]),
        ("mobile-family", ["monthly-fee 14.9 month advance"]),
        ("fibre-300", ["line-promotion 19.99 month advance", "line 29.99 month advance", "router 2.5 month advance"]),
        ("fibre-1000", ["line 44.99 month advance", "fixed-address 120 year advance"]),
        ("fibre-business", ["line 79 month advance", "maintenance 90 quarter arrears"]),
        ("iot-meter", ["sim-year 6 year advance"]),
        ("iot-tracker", ["sim-day 0.03 day arrears"]),
        ("iot-platform", ["platform 250 month advance"]),
    ],
)
def test_each_offering_has_its_fees(shipped: RateBooks, offering: str, fees: list[str]) -> None:
    found = shipped.recurring_prices(offering, datetime(2026, 3, 1, tzinfo=UTC), None, "UTC")
    assert [f"{fee.price_id} {fee.amount:f} {fee.period} {fee.charged}" for fee in found] == fees


@pytest.mark.parametrize(
    ("offering", "allowances"),
    [
        ("mobile-prepaid", ["welcome 3 EUR once product"]),
        ("mobile-smart", ["minutes 18000 s month product", "messages 1000 message month product", "data 20000000000 byte month product"]),
        ("mobile-family", ["family-data 50000000000 byte month account"]),
        ("fibre-300", ["landline-minutes 60000 s month product"]),
        ("fibre-1000", ["films 2 event month product"]),
        ("iot-meter", ["readings 10 message month product"]),
        ("iot-tracker", ["pool 500000000 byte month account"]),
        ("iot-platform", ["credits 1000 unit month product"]),
    ],
)
def test_each_offering_grants_its_allowances(shipped: RateBooks, offering: str, allowances: list[str]) -> None:
    found = shipped.offering(offering, datetime(2026, 3, 1, tzinfo=UTC), "EUR", "UTC")
    assert found is not None
    assert [f"{one.id} {one.amount} {one.unit} {one.recurrence} {one.shared}" for one in found.allowances] == allowances


def price(
    books: RateBooks,
    offering: str,
    usage_type: str,
    quantity: str,
    unit: str,
    starts: str,
    called: str | None,
    characteristics: dict[str, str],
) -> PricedUsage:
    usage = usage_of(
        id="usage",
        identifier="+34600000000",
        usage_type=usage_type,
        started_at=starts,
        quantity=Decimal(quantity),
        unit=unit,
        called_number=called,
        characteristics=characteristics,
    )
    priced = books.price_usage(offering, usage, time_zone="Europe/Madrid", currency="EUR")
    assert isinstance(priced, PricedUsage), priced
    return priced
