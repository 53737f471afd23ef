"""The rate books that come with the project price what their words say."""

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from libs.pricing import PricedUsage, RateBooks, load_rate_books
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
    assert shipped.recurring_prices("churn-plan", datetime(2026, 1, 1, tzinfo=UTC)) == ()


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
    (fee,) = shipped.recurring_prices("mobile-basic", datetime(2026, 1, 1, tzinfo=UTC))
    assert (fee.price_id, fee.amount, fee.currency, str(fee.period)) == ("monthly-fee", Decimal("9.99"), "EUR", "month")
