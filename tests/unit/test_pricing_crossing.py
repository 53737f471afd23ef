"""Usage that goes on while its price changes: over the ends of bands, midnight, changes of the clocks, and new rate books."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import RejectionReason, UsageReceived
from libs.pricing import PricedUsage, RateBooks, RejectedUsage
from libs.pricing.local_time import local_minute, same_offset_until
from tests.books import read_book
from tests.examples import examples
from tests.usages import usage_of

BANDS = "time_bands:\n  day: {hours: 08:00-20:00}\n  night: {hours: 20:00-08:00}\n  small: {hours: 02:00-03:00}\n"
DAY_AND_NIGHT = (
    "id: day, match: {usage_type: voice, time_band: day}, price: {amount: 2, per: 1 s}",
    "id: night, match: {usage_type: voice, time_band: night}, price: {amount: 1, per: 1 s}",
)
SMALL_HOURS = (
    "id: small, match: {usage_type: voice, time_band: small}, price: {amount: 1, per: 1 s}",
    "id: other, match: {usage_type: voice}, price: {amount: 0, per: 1 s}",
)


def book(*prices: str, id: str = "book", since: str = "2000-01-01", top: str = f"crossing: split\n{BANDS}") -> str:
    lines = "".join(f"      - {{description: Calls, {price}}}\n" for price in prices)
    return f"id: {id}\neffective_from: {since}\ncurrency: EUR\n{top}offerings:\n  basic:\n    usage_prices:\n{lines}"


def books(*texts: str) -> RateBooks:
    return RateBooks([read_book(text, f"{number}.yaml") for number, text in enumerate(texts)])


def call(starts: str | datetime, seconds: object, **characteristics: str) -> UsageReceived:
    return usage_of(
        id="call",
        identifier="ada",
        usage_type="voice",
        started_at=starts,
        quantity=Decimal(str(seconds)),
        unit="s",
        characteristics=characteristics,
    )


def priced(by: RateBooks, of: UsageReceived, zone: str = "UTC") -> PricedUsage:
    answer = by.price_usage("basic", of, time_zone=zone, currency="EUR")
    assert isinstance(answer, PricedUsage), answer
    return answer


def parts(of: PricedUsage) -> dict[str, Decimal]:
    return {part.price_id: part.charged_quantity for part in of.parts}


STARTS = st.integers(0, 25 * 366 * 86_400_000).map(lambda past: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(milliseconds=past))


@pytest.mark.parametrize(
    ("starts", "seconds", "expected"),
    [
        ("2026-03-02T19:59:00Z", "60", {"day": "60"}),
        ("2026-03-02T19:59:00Z", "60.001", {"day": "60", "night": "1"}),
        ("2026-03-02T19:59:00Z", "61", {"day": "60", "night": "1"}),
        ("2026-03-02T19:59:59.250Z", "2", {"day": "0.75", "night": "1.25"}),
        ("2026-03-02T20:00:00Z", "43200", {"night": "43200"}),
        ("2026-03-02T20:00:00Z", "43201", {"night": "43200", "day": "1"}),
        # Midnight alone changes nothing where no price does.
        ("2026-03-02T23:00:00Z", "7200", {"night": "7200"}),
        # Back to the price that it began with: one part.
        ("2026-03-02T19:00:00Z", "86400", {"day": "43200", "night": "43200"}),
        ("2026-03-02T19:00:00Z", "2592000", {"day": "1296000", "night": "1296000"}),
        # The night of 29 February, and the last one of a year.
        ("2028-02-29T19:00:00Z", "50400", {"day": "7200", "night": "43200"}),
        ("2026-12-31T19:00:00Z", "50400", {"day": "7200", "night": "43200"}),
    ],
)
def test_a_call_is_divided_where_a_band_ends(starts: str, seconds: str, expected: dict[str, str]) -> None:
    assert parts(priced(books(book(*DAY_AND_NIGHT)), call(starts, seconds))) == {name: Decimal(of) for name, of in expected.items()}


@pytest.mark.parametrize(
    ("zone", "starts", "hours", "small_hours"),
    [
        # From 23:00 to 05:00 by the clock, which lacks or repeats an hour: of 02:00 to 03:00 there is none, one or two.
        ("Europe/Madrid", "2026-03-27T22:00:00Z", 6, 1),
        ("Europe/Madrid", "2026-03-28T22:00:00Z", 5, 0),
        ("Europe/Madrid", "2026-10-24T21:00:00Z", 7, 2),
        ("America/New_York", "2026-03-08T04:00:00Z", 5, 0),
        ("America/New_York", "2026-11-01T03:00:00Z", 7, 1),
        ("Australia/Sydney", "2026-04-04T12:00:00Z", 7, 2),
        ("Australia/Sydney", "2026-10-03T13:00:00Z", 5, 0),
        ("America/Santiago", "2026-04-05T02:00:00Z", 7, 1),
        ("America/Santiago", "2026-09-06T03:00:00Z", 5, 1),
        # Lord Howe changes by half an hour, at 02:00 by the clock.
        ("Australia/Lord_Howe", "2026-04-04T12:00:00Z", Fraction(13, 2), 1),
        ("Australia/Lord_Howe", "2026-10-03T12:30:00Z", Fraction(11, 2), Fraction(1, 2)),
    ],
)
def test_the_clocks_decide_how_much_of_a_call_lies_in_a_band(zone: str, starts: str, hours: Fraction, small_hours: Fraction) -> None:
    answer = priced(books(book(*SMALL_HOURS)), call(starts, int(hours * 3600)), zone)
    assert answer.amount == small_hours * 3600
    assert sum(parts(answer).values()) == hours * 3600


@examples(60)
@given(
    zone=st.sampled_from(["UTC", "Europe/Madrid", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe", "America/St_Johns"]),
    start=STARTS,
    minutes=st.integers(0, 3 * 24 * 60),
)
def test_each_minute_of_a_split_call_costs_what_a_call_of_that_minute_costs(zone: str, start: datetime, minutes: int) -> None:
    start = start.replace(second=0, microsecond=0)
    by = books(book(*SMALL_HOURS))
    inside = sum(120 <= local_minute(start + timedelta(minutes=minute), zone) % 1440 < 180 for minute in range(minutes))
    assert priced(by, call(start, minutes * 60), zone).amount == inside * 60


@pytest.mark.parametrize(
    ("at", "zone", "until"),
    [
        ("2026-03-28T23:10:00", "Europe/Madrid", "2026-03-29T00:00:00"),
        ("2026-03-29T00:00:00", "Europe/Madrid", "2026-03-29T01:00:00"),
        ("2026-03-29T01:00:00", "Europe/Madrid", "2026-03-30T00:00:00"),
        ("2026-04-04T00:00:00", "Australia/Lord_Howe", "2026-04-04T15:00:00"),
        ("2011-03-13T00:00:00", "America/St_Johns", "2011-03-13T03:31:00"),
        ("2011-12-30T00:00:00", "Pacific/Apia", "2011-12-30T10:00:00"),
    ],
)
def test_the_clocks_run_on_until_they_change(at: str, zone: str, until: str) -> None:
    assert same_offset_until(datetime.fromisoformat(at).replace(tzinfo=UTC), zone) == datetime.fromisoformat(until).replace(tzinfo=UTC)


def test_a_new_book_prices_what_comes_after_it_takes_effect() -> None:
    by = books(
        book("id: calls, match: {usage_type: voice}, price: {amount: 1, per: 1 s}, setup_fee: 5", id="old"),
        book("id: calls, match: {usage_type: voice}, price: {amount: 2, per: 1 s}, setup_fee: 7", id="new", since="2026-03-01"),
        book("id: calls, match: {usage_type: voice}, price: {amount: 3, per: 1 s}", id="newest", since="2026-03-01T00:10:00Z"),
    )
    answer = priced(by, call("2026-02-28T23:59:00Z", 60 + 600 + 5))
    assert [(part.rate_book, part.charged_quantity) for part in answer.parts] == [("old", 60), ("new", 600), ("newest", 5)]
    assert answer.amount == 5 + 60 + 2 * 600 + 3 * 5


def test_the_price_at_the_start_says_whether_a_call_is_split() -> None:
    day, night = DAY_AND_NIGHT
    by = books(book(day, f"{night}, crossing: start"))
    assert parts(priced(by, call("2026-03-02T19:59:00Z", 120))) == {"day": 60, "night": 60}
    assert parts(priced(by, call("2026-03-02T07:59:00Z", 120))) == {"night": 120}
    assert parts(priced(books(book(day, night, top=BANDS)), call("2026-03-02T19:59:00Z", 120))) == {"day": 120}


def test_a_band_on_holidays_begins_at_midnight() -> None:
    top = "crossing: split\nholidays: {spain: [2026-05-01]}\ntime_bands:\n  feast: {holidays: spain}\n"
    by = books(
        book(
            "id: feast, match: {usage_type: voice, time_band: feast}, price: {amount: 1, per: 1 s}",
            "id: other, match: {usage_type: voice}, price: {amount: 2, per: 1 s}",
            top=top,
        )
    )
    assert parts(priced(by, call("2026-04-30T21:00:00Z", 26 * 3600), "Europe/Madrid")) == {"other": 7200, "feast": 86400}


def test_what_concerns_the_record_is_as_the_first_price_says() -> None:
    day = (
        "id: day, match: {usage_type: voice, time_band: day}, price: {amount: 2, per: 60 s}, "
        "increments: 60, free_first: 30 s, setup_fee: 1, maximum: 20"
    )
    night = (
        "id: night, match: {usage_type: voice, time_band: night}, price: {amount: 1, per: 60 s}, "
        "increments: 3600, setup_fee: 100, minimum: 1000"
    )
    by = books(book(day, night))
    # 30 s are free, 90 s by day; what is left of the call, rounded up to whole minutes, by night.
    answer = priced(by, call("2026-03-02T19:58:00Z", 125))
    assert parts(answer) == {"day": 90, "night": 30}
    assert answer.amount == 1 + 3 + Fraction(1, 2)
    assert priced(by, call("2026-03-02T19:58:00Z", 125, continuation="true")).amount == 3 + Fraction(1, 2)
    # The excess over the maximum is free in the last part.
    answer = priced(by, call("2026-03-02T19:58:00Z", 30 + 3600))
    assert [Fraction(part.numerator, part.denominator) for part in answer.parts] == [4, 16]
    # All of what is charged may lie after the first price.
    assert parts(priced(by, call("2026-03-02T19:59:45Z", 60))) == {"day": 0, "night": 60}


def test_a_rounded_record_is_divided_without_loss() -> None:
    rounded = "rounding: {point: record, mode: up, decimals: 2}"
    by = books(
        book(
            f"id: day, match: {{usage_type: voice, time_band: day}}, price: {{amount: 0.10, per: 60 s}}, {rounded}",
            "id: night, match: {usage_type: voice, time_band: night}, price: {amount: 0.05, per: 60 s}",
        )
    )
    answer = priced(by, call("2026-03-02T19:59:50Z", 20))
    # 1/60 + 1/120 is 0.025, rounded up 0.03: by the largest remainder 0.02 and 0.01.
    assert [(part.numerator, part.denominator) for part in answer.parts] == [(2, 100), (1, 100)]


def test_the_steps_of_a_record_go_on_in_the_next_band() -> None:
    ladder = "steps: [{from: 0, price: {amount: %s, per: 60 s}, increments: 60}, {from: 60 s, price: {amount: %s, per: 60 s}}]"
    by = books(
        book(
            f"id: day, match: {{usage_type: voice, time_band: day}}, {ladder % (6, 3)}",
            f"id: night, match: {{usage_type: voice, time_band: night}}, {ladder % (4, 1)}",
        )
    )
    # 30 s of the first minute by day, 30 s of it by night, then the second step by night.
    assert priced(by, call("2026-03-02T19:59:30Z", 120)).amount == 3 + 2 + 1


def test_a_part_without_a_price_leaves_the_call_unpriced() -> None:
    answer = books(book(DAY_AND_NIGHT[0])).price_usage("basic", call("2026-03-02T19:59:00Z", 120), time_zone="UTC", currency="EUR")
    assert isinstance(answer, RejectedUsage)
    assert answer.reason is RejectionReason.NO_PRICE
    assert "2026-03-02T20:00:00+00:00" in answer.detail


def test_a_call_may_end_where_the_prices_do() -> None:
    answer = priced(books(book(DAY_AND_NIGHT[0])), call("2026-03-02T19:59:00Z", 60))
    assert parts(answer) == {"day": 60}


@pytest.mark.parametrize("seconds", ["1E+18", "1000000000", "1E+11"])
def test_a_call_without_end_is_refused(seconds: str) -> None:
    answer = books(book(*DAY_AND_NIGHT)).price_usage("basic", call("2026-03-02T19:59:00Z", seconds), time_zone="UTC", currency="EUR")
    assert isinstance(answer, RejectedUsage)
    assert answer.reason is RejectionReason.ABSURD_QUANTITY


def test_a_session_of_a_month_is_split_at_the_ends_of_bands_and_not_by_its_seconds() -> None:
    by = books(book(*DAY_AND_NIGHT))
    started = time.process_time()
    priced(by, call("2026-03-02T19:59:00Z", 30 * 86400))
    assert time.process_time() - started < 0.1


def test_allowances_take_from_the_parts_and_what_is_left_moves_up() -> None:
    by = books(book("id: day, match: {usage_type: voice, time_band: day}, price: {amount: 2, per: 1 s}, setup_fee: 9", DAY_AND_NIGHT[1]))
    answer = priced(by, call("2026-03-02T19:59:00Z", 120))
    steps = [part.steps for part in answer.parts]
    assert answer.covered([0, 0]).amount == answer.amount == 9 + 120 + 60
    assert answer.covered([steps[0], 0]).amount == 9 + 60
    assert answer.covered([steps[0] // 2, steps[1] // 2]).amount == 9 + 60 + 30
    assert answer.covered(steps).amount == 0
    assert [part.charged_quantity for part in answer.covered([steps[0] // 2, steps[1]]).parts] == [30, 0]


ANY_STEPS = st.sampled_from(["1", "60", "60/1", "30/6", "0.5", "none", "1/60"])
ZONES = st.sampled_from(["UTC", "Europe/Madrid", "Australia/Lord_Howe", "America/Santiago"])


@examples(100)
@given(
    increments=ANY_STEPS,
    start=STARTS,
    zone=ZONES,
    seconds=st.decimals(0, 400_000, places=3),
    terms=st.sampled_from(["", ", minimum: 3", ", maximum: 40", ", free_first: 45 s", ", rounding: {point: record, mode: up}"]),
)
def test_splitting_over_equal_prices_changes_neither_quantity_nor_amount(
    increments: str, start: datetime, zone: str, seconds: Decimal, terms: str
) -> None:
    same = f"price: {{amount: 0.17, per: 60 s}}, setup_fee: 0.15, increments: {increments}{terms}"
    split = books(
        book(
            f"id: day, match: {{usage_type: voice, time_band: day}}, {same}",
            f"id: night, match: {{usage_type: voice, time_band: night}}, {same}",
        )
    )
    whole = books(book(f"id: calls, match: {{usage_type: voice}}, {same}"))
    of = call(start, seconds)
    assert priced(split, of, zone).amount == priced(whole, of, zone).amount
    assert sum(parts(priced(split, of, zone)).values()) == priced(whole, of, zone).charged_quantity


@examples(100)
@given(increments=ANY_STEPS, start=STARTS, zone=ZONES, some=st.integers(0, 200_000), more=st.integers(0, 200_000))
def test_a_longer_call_never_costs_less_and_parts_are_those_of_its_quantity(
    increments: str, start: datetime, zone: str, some: int, more: int
) -> None:
    by = books(book(*(f"{price}, increments: {increments}" for price in DAY_AND_NIGHT)))
    less, greater = (priced(by, call(start, seconds), zone) for seconds in sorted((some, more)))
    assert less.amount <= greater.amount
    assert len({part.denominator for part in greater.parts}) == 1
    for of in (less, greater):
        assert all(part.charged_quantity >= 0 and part.numerator >= 0 for part in of.parts)
        assert len({part.price_id for part in of.parts}) == len(of.parts)


def test_a_volume_price_finds_one_tier_for_all_that_it_covers_of_a_usage() -> None:
    volume = "volume: [{up_to: 3600 s, price: {amount: 0.60, per: 60 s}, flat: 1}, {price: {amount: 0.30, per: 60 s}, flat: 1}]"
    by = books(
        book(
            f"id: day, match: {{usage_type: voice, time_band: day}}, counted: record, {volume}",
            "id: night, match: {usage_type: voice, time_band: night}, price: {amount: 0, per: 60 s}",
        )
    )
    answer = priced(by, call("2026-03-02T19:30:00Z", 24 * 3600), "UTC")
    (day,) = [part for part in answer.parts if part.price_id == "day"]
    assert len(day.stretches) == 2
    assert answer.amount == 1 + Fraction("0.30") * int(day.charged_quantity) / 60
