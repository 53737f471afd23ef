"""`tarifa rerate`: which requests are the same one, and how times are read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.cli.errors import CommandError
from libs.cli.rerate import _period, rerate_id
from libs.periods import calendar_month

MARCH = calendar_month("2026-03", "Europe/Madrid")
ASKED: dict[str, Any] = {
    "account": "ada",
    "period": MARCH,
    "book": None,
    "day": "2026-04-10",
    "by_present_offering": False,
    "dry_run": False,
}


def test_what_is_asked_again_on_a_day_is_the_same_request() -> None:
    assert rerate_id(**ASKED) == rerate_id(**ASKED)


@pytest.mark.parametrize(
    "other",
    [
        {"account": "bob"},
        {"period": calendar_month("2026-04", "Europe/Madrid")},
        {"book": "corrected"},
        {"day": "2026-04-11"},
        {"by_present_offering": True},
        {"dry_run": True},
    ],
)
def test_anything_else_is_another_request(other: dict[str, Any]) -> None:
    assert rerate_id(**{**ASKED, **other}) != rerate_id(**ASKED)


def test_days_are_those_of_the_account_and_instants_may_have_an_offset() -> None:
    assert _period("2026-03-01", "2026-04-01", "Europe/Madrid") == MARCH
    assert _period("2026-03-01T12:00", "2026-03-01T12:00:00+00:00", "Europe/Madrid").start == datetime(2026, 3, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "told"),
    [("March", "2026-04-01", "'March' is no time"), ("2026-04-01", "2026-03-01", "--to 2026-03-01: a period must start before it ends")],
)
def test_what_is_no_interval_is_refused_in_words(start: str, end: str, told: str) -> None:
    with pytest.raises(CommandError) as refused:
        _period(start, end, "Europe/Madrid")
    assert told in refused.value.problem
