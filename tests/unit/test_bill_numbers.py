"""Series of legal numbers: which a bill belongs to and how its numbers are written."""

from datetime import UTC, datetime

import pytest

from libs.contracts import BillIssued, RunType
from services.invoicing.domain.series import InvalidSeries, InvoiceSeries, bill_numbers
from tests.closings import closed, on_demand
from tests.outcomes import bill_of


def bill(run_type: RunType = RunType.ON_CYCLE, **charges) -> BillIssued:
    cut = closed("ada", "1.00", **charges) if run_type is RunType.ON_CYCLE else on_demand("ada", "1.00", request_id="r1", **charges)
    return bill_of(cut)


def test_a_year_starts_in_the_accounts_zone():
    new_year_in_madrid = datetime(2025, 12, 31, 23, 30, tzinfo=UTC)
    assert InvoiceSeries("{year}").of(bill(closed_at=new_year_in_madrid)) == "2026"


def test_a_pattern_may_tell_month_currency_and_kind_apart():
    series = InvoiceSeries("ES-{year}{month}-{currency}-{kind}")
    assert series.of(bill()) == "ES-202604-EUR-C"
    assert series.of(bill(RunType.OFF_CYCLE)) == "ES-202604-EUR-D"


def test_a_block_ends_with_the_last_number_taken():
    assert bill_numbers("2026", 12, 3) == ["2026-00000010", "2026-00000011", "2026-00000012"]


def test_numbers_beyond_eight_digits_grow_longer():
    assert bill_numbers("2026", 100_000_000, 1) == ["2026-100000000"]


@pytest.mark.parametrize("pattern", ["{yaer}", "{", "{0}", "{year!r}", "{year:>9999}", "{year.real}", "", "   ", "x" * 65])
def test_a_pattern_that_cannot_name_series_is_refused(pattern: str):
    with pytest.raises(InvalidSeries, match="invoice series"):
        InvoiceSeries(pattern)
