"""The mediation adapter: as many calls as the data set says, exact to the second, each inside its band and month."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import groupby
from random import Random

import phonenumbers
import pytest

from libs.demo.churn import Band, ChurnCustomer
from libs.demo.mediation import Call, Mediation, band_windows, split_seconds
from libs.demo.numbers import COHORTS_MAX, DOMESTIC_NUMBERS, INTERNATIONAL_NUMBERS, SUBSCRIBERS_MAX, subscriber_number
from libs.periods import time_zone
from tests.usages import usage_of

MARCH = Mediation("2026-03", seed=1, cohort=1)


@pytest.fixture(scope="module")
def one_per_state(customers: tuple[ChurnCustomer, ...]) -> list[ChurnCustomer]:
    return list({customer.state: customer for customer in customers}.values())


def band_of(call: Call) -> Band:
    return Band(call.usage_id.split("-")[-2])


def local_start(call: Call, customer: ChurnCustomer) -> datetime:
    return datetime.fromtimestamp(call.started_at, UTC).astimezone(time_zone(customer.time_zone))


def test_every_band_of_a_customer_becomes_its_calls_and_its_seconds_exactly(customers):
    # A third of them: tests/scenarios/test_demo.py counts the calls of all, and compares all their charges.
    for customer in customers[::3]:
        seconds: defaultdict[str, list[int]] = defaultdict(list)
        for call in MARCH.calls(customer):
            seconds[call.usage_id.rpartition("-")[0]].append(call.seconds)
        assert all(min(each) > 0 for each in seconds.values())
        assert {usage_ids.split("-")[-1]: (len(each), sum(each)) for usage_ids, each in seconds.items()} == {
            band: (traffic.call_count, traffic.seconds) for band, traffic in customer.traffic.items() if traffic.call_count
        }
        assert not any(traffic.seconds for traffic in customer.traffic.values() if not traffic.call_count)


def test_every_call_starts_in_its_band_and_month_by_the_customers_own_clock(one_per_state):
    hours = {Band.DAY: range(8, 18), Band.EVENING: range(18, 22), Band.NIGHT: (22, 23, *range(8)), Band.INTERNATIONAL: range(24)}
    for customer in one_per_state:
        for call in MARCH.calls(customer):
            start = local_start(call, customer)
            assert (start.year, start.month) == (2026, 3)
            assert start.hour in hours[band_of(call)], (customer.state, start)


def test_calls_are_spread_over_all_days_of_the_month(one_per_state):
    days = {local_start(call, customer).day for customer in one_per_state for call in MARCH.calls(customer)}
    assert days == set(range(1, 32))


def test_the_hour_that_daylight_saving_skips_on_8_march_is_an_hour_less_of_night_except_where_clocks_stay():
    day_s = 24 * 3600
    assert band_windows(Band.NIGHT, "2026-03", "America/Chicago").seconds == 31 * 10 * 3600 - 3600
    assert band_windows(Band.INTERNATIONAL, "2026-03", "America/Chicago").seconds == 31 * day_s - 3600
    assert band_windows(Band.DAY, "2026-03", "America/Chicago").seconds == 31 * 10 * 3600
    assert band_windows(Band.NIGHT, "2026-03", "America/Phoenix").seconds == 31 * 10 * 3600
    assert band_windows(Band.NIGHT, "2026-03", "Pacific/Honolulu").seconds == 31 * 10 * 3600
    assert band_windows(Band.NIGHT, "2026-11", "America/Chicago").seconds == 30 * 10 * 3600 + 3600


def test_the_seconds_of_a_band_are_counted_without_gap_from_its_first_to_its_last():
    zone = time_zone("America/Los_Angeles")
    night = band_windows(Band.NIGHT, "2026-03", "America/Los_Angeles")
    assert datetime.fromtimestamp(night.instant(0), zone) == datetime(2026, 3, 1, tzinfo=zone)
    assert datetime.fromtimestamp(night.instant(8 * 3600 - 1), zone) == datetime(2026, 3, 1, 7, 59, 59, tzinfo=zone)
    assert datetime.fromtimestamp(night.instant(8 * 3600), zone) == datetime(2026, 3, 1, 22, tzinfo=zone)
    assert datetime.fromtimestamp(night.instant(night.seconds - 1), zone) == datetime(2026, 3, 31, 23, 59, 59, tzinfo=zone)
    before_the_skip = 7 * 10 * 3600 + 2 * 3600 - 1
    skip = datetime.fromtimestamp(night.instant(before_the_skip), zone)
    assert skip == datetime(2026, 3, 8, 1, 59, 59, tzinfo=zone)
    assert datetime.fromtimestamp(night.instant(before_the_skip + 1), zone).hour == 3


def test_the_same_seed_makes_the_same_calls_and_another_seed_others(customers):
    first = customers[0]
    again = Mediation("2026-03", seed=1, cohort=1)
    other = Mediation("2026-03", seed=2, cohort=1)
    assert list(again.calls(first)) == list(MARCH.calls(first))
    assert [call.started_at for call in other.calls(first)] != [call.started_at for call in MARCH.calls(first)]


def test_the_calls_of_seed_1_do_not_change_from_version_to_version(customers):
    assert next(MARCH.calls(customers[0])) == Call(1774884279, "demo1-2026-03-0001-day-001", "+14155550001", 37, "+16175550102")


def test_another_cohort_has_the_same_traffic_under_its_own_numbers_and_usage_ids(customers):
    second = Mediation("2026-03", seed=1, cohort=2)
    ours, theirs = list(MARCH.calls(customers[0])), list(second.calls(customers[0]))
    assert [(call.started_at, call.seconds) for call in ours] == [(call.started_at, call.seconds) for call in theirs]
    assert not {call.usage_id for call in ours} & {call.usage_id for call in theirs}
    assert not {call.identifier for call in ours} & {call.identifier for call in theirs}


def test_usage_ids_are_unique(one_per_state):
    ids = [call.usage_id for customer in one_per_state for call in MARCH.calls(customer)]
    assert len(set(ids)) == len(ids)


def test_a_calls_message_is_byte_for_byte_what_the_contract_writes(customers):
    for call in MARCH.calls(customers[1]):
        usage = usage_of(
            id=call.usage_id,
            identifier=call.identifier,
            usage_type="voice",
            started_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=call.started_at),
            quantity=call.seconds,
            unit="s",
            called_number=call.called_number,
        )
        assert call.to_message() == usage.to_message()


def test_international_calls_go_abroad_and_the_others_stay_in_the_country(customers):
    for band, calls in groupby(MARCH.calls(customers[0]), key=band_of):
        assert {call.called_number.startswith("+1") for call in calls} == {band is not Band.INTERNATIONAL}


def test_every_number_is_valid_in_its_country(customers):
    subscribers = [MARCH.identifier(customer) for customer in customers]
    assert len(set(subscribers)) == len(customers)
    for number in (*subscribers, *DOMESTIC_NUMBERS, *INTERNATIONAL_NUMBERS):
        parsed = phonenumbers.parse(number)
        assert phonenumbers.is_valid_number(parsed), number
        assert phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) == number


def test_subscriber_numbers_end_where_the_numbering_does():
    assert subscriber_number(1, "415", 1) == "+14155550001"
    assert subscriber_number(COHORTS_MAX, "415", SUBSCRIBERS_MAX) == "+14159999999"
    with pytest.raises(ValueError, match="445 cohorts"):
        subscriber_number(COHORTS_MAX + 1, "415", 1)
    with pytest.raises(ValueError, match="9999 customers"):
        subscriber_number(1, "415", SUBSCRIBERS_MAX + 1)


@pytest.mark.parametrize(("seconds", "count"), [(0, 0), (10, 1), (10, 10), (11, 10), (15906, 110), (3, 5), (0, 4)])
def test_seconds_are_split_exactly_and_no_call_is_empty_while_there_is_a_second_for_each(seconds, count):
    parts = split_seconds(seconds, count, Random(7))
    assert len(parts) == count
    assert sum(parts) == seconds
    assert all(part >= (1 if seconds >= count else 0) for part in parts)
