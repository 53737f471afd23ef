"""Reading BigML's churn data set: what it holds, and what a damaged file is told."""

from decimal import Decimal
from pathlib import Path

import pytest

from libs.demo.churn import Band, ChurnDataFault, Traffic, read_customers
from libs.demo.states import STATE_ZONES
from libs.periods import time_zone

DATA = Path("deploy/demo/telecom-churn-bigml-80.csv")
HEADER = (
    "State;Area code;Total day minutes;Total day calls;Total day charge;Total eve minutes;Total eve calls;Total eve charge;"
    "Total night minutes;Total night calls;Total night charge;Total intl minutes;Total intl calls;Total intl charge"
)
ROW = "KS;415;265.1;110;45.07;197.4;99;16.78;244.7;91;11.01;10.0;3;2.7"


def a_file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "churn.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_data_set_has_2666_customers_in_51_states_and_812883_calls(customers):
    assert len(customers) == 2666
    assert {customer.state for customer in customers} == set(STATE_ZONES)
    assert len(STATE_ZONES) == 51
    assert sum(customer.call_count for customer in customers) == 812_883


def test_a_row_becomes_calls_whole_seconds_and_a_charge_per_band():
    first = read_customers(DATA, 1)[0]
    assert (first.number, first.state, first.area_code, first.time_zone) == (1, "KS", "415", "America/Chicago")
    assert first.traffic == {
        Band.DAY: Traffic(110, 15906, Decimal("45.07")),
        Band.EVENING: Traffic(99, 11844, Decimal("16.78")),
        Band.NIGHT: Traffic(91, 14682, Decimal("11.01")),
        Band.INTERNATIONAL: Traffic(3, 600, Decimal("2.7")),
    }


def test_18_bands_are_empty_in_calls_minutes_and_charge_alike(customers):
    empty = [traffic for customer in customers for traffic in customer.traffic.values() if not traffic.call_count]
    assert empty == [Traffic(0, 0, Decimal(0))] * 18


def test_every_call_of_the_data_set_can_last_a_second(customers):
    assert all(traffic.seconds >= traffic.call_count for customer in customers for traffic in customer.traffic.values())


def test_a_file_separated_by_commas_reads_the_same(tmp_path):
    with_commas = a_file(tmp_path, HEADER.replace(";", ","), ROW.replace(";", ","))
    assert read_customers(with_commas)[0].traffic == read_customers(DATA, 1)[0].traffic


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (ROW.replace("KS", "XX"), "line 2: 'XX' is no US state"),
        (ROW.replace("415", "015"), "line 2: '015' is no US area code"),
        (ROW.replace("265.1", "265.13"), "line 2: 265.13 minutes in 110 day calls are not whole seconds in whole calls"),
        (ROW.replace(";110;", ";1.5;"), "line 2: 265.1 minutes in 1.5 day calls are not whole seconds in whole calls"),
        (ROW.replace(";110;", ";0;"), "line 2: 265.1 day minutes in no calls"),
        (ROW.replace("265.1", "many"), "line 2: Total day minutes 'many' is no number"),
        (ROW.replace("265.1", "NaN"), "line 2: Total day minutes 'NaN' is not between 0 and 1000000"),
        (ROW.replace("265.1", "1e999"), "line 2: Total day minutes '1e999' is not between 0 and 1000000"),
        (ROW.replace("265.1", "-6"), "line 2: Total day minutes '-6' is not between 0 and 1000000"),
        ("KS;415;265.1", "line 2: no column 'Total day calls'"),
    ],
)
def test_a_damaged_row_is_refused_by_its_line(tmp_path, row, fault):
    with pytest.raises(ChurnDataFault, match=fault.replace(".", r"\.")):
        read_customers(a_file(tmp_path, HEADER, row))


def test_another_file_is_refused(tmp_path):
    with pytest.raises(ChurnDataFault, match="no column 'State'"):
        read_customers(a_file(tmp_path, "a,b", "1,2"))
    with pytest.raises(ChurnDataFault, match="holds no customers"):
        read_customers(a_file(tmp_path, HEADER))


def test_arizona_hawaii_and_indiana_keep_their_own_time():
    assert STATE_ZONES["AZ"] == "America/Phoenix"
    assert STATE_ZONES["HI"] == "Pacific/Honolulu"
    assert STATE_ZONES["IN"] == "America/Indiana/Indianapolis"
    assert all(time_zone(zone) for zone in STATE_ZONES.values())
