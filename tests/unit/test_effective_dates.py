"""Which book holds for an account at an instant: books that take effect on a date do so at each account's own midnight."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.pricing import PricedUsage, RateBookInvalid, RateBooks, parse_rate_book
from tests.usages import usage_of

ZONES = ("UTC", "Europe/Madrid", "Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns", "Africa/Cairo", "America/Asuncion")
# In Cairo and Asuncion midnight does not exist on some of these days.
DAYS = st.dates(date(2023, 4, 20), date(2023, 5, 5)) | st.dates(date(2024, 9, 30), date(2024, 10, 12))
EFFECTS = st.one_of(
    DAYS.map(str),
    st.builds(lambda day, hour: f"{day}T{hour:02}:00:00Z", DAYS, st.integers(0, 23)),
)


def book(id: str, effective_from: str, amount: int, format: int = 2) -> str:
    head = f"format: {format}\nhome_networks: none\n" if format == 2 else ""
    return (
        f"id: {id}\n{head}effective_from: {effective_from}\ntime_zone: Europe/Madrid\ncurrency: EUR\ncrossing: split\n"
        "offerings:\n  basic:\n"
        f"    usage_prices: [{{id: calls, description: C, match: {{usage_type: voice}}, price: {{amount: {amount}, per: 1 s}}}}]\n"
        f"    recurring_prices: [{{id: fee, description: F, amount: {amount}, period: month}}]\n"
    )


def begins(effective_from: str, zone: str) -> datetime:
    """The plain model: an instant as it is written, or the first moment of the day by the wall clock of the zone."""
    if "T" in effective_from:
        return datetime.fromisoformat(effective_from)
    return datetime.fromisoformat(effective_from).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def depends_on_zone(one: str, other: str) -> bool:
    """Whether one begins before the other in the first zone of the earth, and after it in the last."""
    if ("T" in one) == ("T" in other):
        return False
    day, instant = sorted((one, other), key=len)
    return begins(day, "Etc/GMT-14") <= begins(instant, "UTC") <= begins(day, "Etc/GMT+12")


@given(st.lists(EFFECTS, min_size=1, max_size=4, unique=True), st.sampled_from(ZONES), st.integers(-40, 40), st.booleans())
def test_usage_offering_and_fees_agree_with_the_plain_model(effects: list[str], zone: str, quarters: int, at_edge: bool) -> None:
    loaded = [parse_rate_book(book(f"b{number}", effect, number + 1), f"b{number}.yaml") for number, effect in enumerate(effects)]
    if any(depends_on_zone(one, other) for one, other in combinations(effects, 2)):
        with pytest.raises(RateBookInvalid, match="depends on the account's time zone"):
            RateBooks(loaded)
        return
    books = RateBooks(loaded)
    at = begins(effects[0], zone) + (timedelta(0) if at_edge else quarters * timedelta(minutes=15))
    known = sorted((begins(effective_from, zone), number + 1) for number, effective_from in enumerate(effects))
    holding = [amount for since, amount in known if since <= at]
    offering = books.offering("basic", at, "EUR", zone)
    assert [price.amount for price in offering.recurring_prices] == [holding[-1]] if offering else not holding
    assert [price.amount for price in books.recurring_prices("basic", at, "EUR", zone)] == holding[-1:]
    usage = usage_of(
        id="u",
        identifier="+34600000000",
        usage_type="voice",
        quantity=Decimal(7200),
        unit="s",
        started_at=at.isoformat(),
        characteristics={},
    )
    answer = books.price_usage("basic", usage, time_zone=zone, currency="EUR")
    if not holding:
        assert not isinstance(answer, PricedUsage)
        return
    # Split at the instants at which books take effect for this zone.
    edges = [at, *(since for since, _ in known if at < since < at + timedelta(hours=2)), at + timedelta(hours=2)]
    worth = sum(
        [amount for since, amount in known if since <= start][-1] * int((end - start).total_seconds()) for start, end in pairwise(edges)
    )
    assert isinstance(answer, PricedUsage)
    assert answer.amount == Fraction(worth)


@pytest.mark.parametrize("zone", ZONES)
def test_a_date_in_a_book_of_the_first_format_stays_an_instant(zone: str) -> None:
    books = RateBooks([parse_rate_book(book("old", "2026-03-01", 1, format=1), "old.yaml")])
    begins_at = datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert books.offering("basic", begins_at, "EUR", zone) is not None
    assert books.offering("basic", begins_at - timedelta(milliseconds=1), "EUR", zone) is None


def test_a_date_and_an_instant_on_that_day_are_refused() -> None:
    texts = [book("on-a-date", "2026-03-01", 1), book("at-noon", "2026-03-01T12:00:00Z", 2)]
    with pytest.raises(RateBookInvalid, match="which of the two is newer depends on the account's time zone"):
        RateBooks([parse_rate_book(text, "b.yaml") for text in texts])
