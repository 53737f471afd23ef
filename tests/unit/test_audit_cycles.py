"""The audit of billing cycles: when a run is due, and which accounts owe something that no run billed."""

from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from libs.audit.domain.cycles import EXAMPLES_MAX, CycleAccount, CycleWithoutRun, month_due
from libs.audit.domain.fees import KnownProduct
from libs.pricing import RateBooks, parse_rate_book

MADRID = "Europe/Madrid"
BOOKS = RateBooks(
    [
        parse_rate_book(
            """
id: fees
effective_from: 2020-01-01
currency: EUR
offerings:
  monthly:
    recurring_prices: [{id: fee, description: Fee, amount: 10, period: month}]
  arrears:
    recurring_prices: [{id: fee, description: Fee, amount: 10, period: month, charged: arrears}]
  activated:
    one_time_prices: [{id: activation, description: Activation, amount: 10, charged_at: activation}]
  free:
    recurring_prices: [{id: fee, description: Fee, amount: 0, period: month}]
  calls:
    usage_prices: [{id: calls, description: Calls, match: {usage_type: voice}, price: {amount: 0.1, per: 60 s}}]
""",
            "fees.yaml",
        )
    ]
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def account(last_run: str | None, billed_from: datetime | None = None, zone: str = MADRID) -> CycleAccount:
    return CycleAccount("ada", "EUR", zone, billed_from, last_run)


def product(offering_id: str, started: str, ended: str | None = None) -> KnownProduct:
    return KnownProduct("p", at(started), None if ended is None else at(ended), [(offering_id, None)])


@pytest.mark.parametrize(
    ("as_of", "month"),
    [
        ("2026-04-15T23:59:59+00:00", "2026-02"),
        ("2026-04-16T00:00:00+00:00", "2026-03"),
        ("2026-05-15T23:59:59+00:00", "2026-03"),
        ("2026-01-16T00:00:00+00:00", "2025-12"),
        ("2026-01-15T12:00:00+00:00", "2025-11"),
        ("2028-03-15T12:00:00+00:00", "2028-01"),
    ],
)
def test_a_run_is_due_half_a_month_after_its_month(as_of: str, month: str) -> None:
    assert month_due(at(as_of)) == month


@pytest.mark.parametrize(
    ("last_run", "began", "owes"),
    [
        (None, [], False),
        (None, ["2026-03-01T00:00:00+01:00"], True),
        (None, ["2019-01-01T00:00:00+01:00"], True),
        # Not over yet, in the zone of the account.
        (None, ["2026-04-01T00:00:00+02:00"], False),
        # Late usage of a month that was run is on the next bill.
        ("2026-02", ["2026-02-01T00:00:00+01:00"], False),
        ("2026-02", ["2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"], True),
        ("2025-11", ["2026-02-01T00:00:00+01:00"], True),
    ],
)
def test_unbilled_charges_of_months_after_the_last_run_are_owed(last_run: str | None, began: Iterable[str], owes: bool) -> None:
    assert account(last_run).owes("2026-03", [at(each) for each in began], [], BOOKS) is owes


@pytest.mark.parametrize(
    ("last_run", "sold", "owes"),
    [
        (None, product("monthly", "2025-01-01T00:00+01:00"), True),
        (None, product("monthly", "2026-03-31T23:00+02:00"), True),
        (None, product("monthly", "2026-04-01T00:00+02:00"), False),
        (None, product("monthly", "2025-01-01T00:00+01:00", "2025-02-01T00:00+01:00"), True),
        ("2026-02", product("monthly", "2025-01-01T00:00+01:00"), True),
        ("2026-02", product("monthly", "2025-01-01T00:00+01:00", "2026-02-20T00:00+01:00"), False),
        ("2026-02", product("arrears", "2026-03-20T00:00+01:00"), True),
        (None, product("arrears", "2026-04-01T00:00+02:00"), False),
        (None, product("activated", "2026-03-20T00:00+01:00"), True),
        ("2026-02", product("activated", "2026-02-20T00:00+01:00"), False),
        (None, product("free", "2025-01-01T00:00+01:00"), False),
        (None, product("calls", "2025-01-01T00:00+01:00"), False),
    ],
)
def test_fees_of_months_after_the_last_run_are_owed(last_run: str | None, sold: KnownProduct, owes: bool) -> None:
    assert account(last_run).owes("2026-03", [], [sold], BOOKS) is owes


@pytest.mark.parametrize(("billed_from", "owes"), [("2026-03-01T00:00+01:00", True), ("2026-04-01T00:00+02:00", False)])
def test_fees_that_were_billed_elsewhere_are_not_owed(billed_from: str, owes: bool) -> None:
    sold = product("monthly", "2025-01-01T00:00+01:00")
    assert account(None, at(billed_from)).owes("2026-03", [], [sold], BOOKS) is owes


@pytest.mark.parametrize("count", [0, 1, EXAMPLES_MAX, EXAMPLES_MAX + 1])
def test_one_finding_tells_of_all_accounts_of_a_cycle(count: int) -> None:
    cycle = CycleWithoutRun("monthly", "2026-01", "2026-03")
    for number in range(count):
        cycle.add(f"a{number}")
    told = cycle.differences()
    assert len(told) == min(count, 1)
    for difference in told:
        assert f"the last run is of 2026-01; {count} accounts" in difference.found
        assert difference.found.count("a0") == 1
        assert difference.found.endswith(" and others") is (count > EXAMPLES_MAX)
