"""What `tarifa demo` refuses before it starts anything, and what it calls wrong at the end."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from typer.testing import CliRunner

from libs.cli import app
from libs.cli.errors import CommandError
from libs.demo.comparison import Comparison
from libs.demo.outcome import SHIPPED, DemoOutcome

ALL = DemoOutcome(
    customer_count=2_666,
    calling_customer_count=2_666,
    usage_count=812_883,
    billed_usage_count=812_883,
    bill_count=2_666,
    run_bill_count=2_665,
    comparison=SHIPPED,
    onboarding_s=20.0,
    rating_s=40.0,
    run_s=5.0,
    on_demand_s=0.2,
)


def test_a_file_that_is_not_of_the_format_is_refused(tmp_path: Path):
    other = tmp_path / "other.csv"
    other.write_text("a;b\n1;2\n")
    told = CliRunner().invoke(app, ["demo", "--data", str(other)])
    assert isinstance(told.exception, CommandError)
    assert told.exception.exit_code == 2
    assert told.exception.problem == "other.csv, line 2: no column 'State'"


def test_a_file_in_which_nobody_calls_is_refused(tmp_path: Path):
    silent = tmp_path / "silent.csv"
    bands = ("day", "eve", "night", "intl")
    columns = [f"Total {band} {what}" for band in bands for what in ("minutes", "calls", "charge")]
    silent.write_text(f"State;Area code;{';'.join(columns)}\nKS;415{';0' * len(columns)}\n")
    told = CliRunner().invoke(app, ["demo", "--data", str(silent)])
    assert isinstance(told.exception, CommandError)
    assert told.exception.problem == "nobody calls in silent.csv"


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--customers", "none"), "'none' is neither a number of customers nor `all`"),
        (("--customers", "0"), "'0' is neither a number of customers nor `all`"),
        (("--period", "2026-3"), "is not a month written as YYYY-MM"),
        (("--period", "9999-01"), "9999-01 is not over yet"),
    ],
)
def test_a_wrong_option_is_told_by_its_name(arguments: tuple[str, str], fault: str):
    told = CliRunner().invoke(app, ["demo", *arguments])
    assert told.exit_code == 2
    assert fault in " ".join(told.stderr.replace("│", " ").split())
    assert arguments[0] in told.stderr


def test_the_figures_of_all_customers_must_be_those_of_the_data_set():
    assert ALL.faults(shipped_data=True) == []
    for wrong in (
        Comparison(10_664, 10_638, 26, Decimal("158261.10")),
        Comparison(10_664, 10_638, 25, Decimal("158261.09")),
        replace(SHIPPED, total=Decimal("158261.08")),
    ):
        assert replace(ALL, comparison=wrong).faults(shipped_data=True)


def test_a_foreign_file_may_follow_another_tariff_but_every_call_must_be_billed():
    other = Comparison(10_664, 0, 0, Decimal("1.00"))
    assert replace(ALL, comparison=other).faults(shipped_data=False) == []
    (fault,) = replace(ALL, billed_usage_count=812_882).faults(shipped_data=False)
    assert fault == "812883 calls were published, but the bills count 812882"
    (fault,) = replace(ALL, bill_count=2_665).faults(shipped_data=False)
    assert fault == "2666 customers who called have 2665 bills"


def test_machines_get_the_total_as_the_number_it_is():
    assert ALL.to_json() == {
        "customers": 2_666,
        "usages": 812_883,
        "lines": 10_664,
        "lines_equal": 10_639,
        "lines_off_by_one_cent": 25,
        "total": Decimal("158261.09"),
        "usages_per_s": 20_322,
        "bills_per_s": 533.0,
    }
