"""Cuts, bills and what asked for them: runs, their accounts, on-demand requests."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.audit.domain.causes import AccountOfRun, Bill, Cut, Request, check_counts, check_cut, check_request
from libs.audit.domain.difference import Category
from libs.contracts import BillRunChanged, BillRunCounts, BillRunState, RunType

CUT = Cut("ada", RunType.ON_CYCLE, "monthly:2026-03", 2)
EMPTY_CUT = Cut("ada", RunType.ON_CYCLE, "monthly:2026-03", 0)
RETURNED = replace(CUT, is_returned=True)
BILL = Bill("b1", "ada", "monthly:2026-03", 2, Decimal("12.10"))
BILLED = AccountOfRun("billed", "b1", Decimal("12.10"), None)
SKIPPED = AccountOfRun("skipped", None, None, None)
PARKED = AccountOfRun("parked", None, None, "no tax rate")
UNDECIDED = AccountOfRun(None, None, None, None)


@pytest.mark.parametrize(
    ("cuts", "bills", "accounts", "categories"),
    [
        ([CUT], [BILL], [BILLED], []),
        ([CUT], [BILL], [], []),
        ([EMPTY_CUT], [], [SKIPPED], []),
        ([CUT], [], [PARKED], []),
        ([], [], [PARKED], []),
        ([CUT], [], [], [Category.CUT_UNBILLED]),
        ([CUT], [], [SKIPPED], [Category.CUT_UNBILLED]),
        ([], [BILL], [], [Category.BILL_CUT]),
        ([Cut("bob", RunType.ON_CYCLE, "monthly:2026-03", 2)], [BILL], [], [Category.BILL_CUT]),
        ([Cut("ada", RunType.ON_CYCLE, "monthly:2026-03", 3)], [BILL], [], [Category.BILL_CUT]),
        ([CUT], [BILL], [UNDECIDED], [Category.RUN_ACCOUNT]),
        ([CUT], [BILL], [PARKED], [Category.RUN_ACCOUNT]),
        ([CUT], [BILL], [AccountOfRun("billed", "b2", Decimal("12.10"), None)], [Category.RUN_ACCOUNT]),
        ([CUT], [BILL], [AccountOfRun("billed", "b1", Decimal("12.11"), None)], [Category.RUN_ACCOUNT]),
        ([EMPTY_CUT], [], [BILLED], [Category.RUN_ACCOUNT]),
        ([RETURNED], [], [], []),
        ([RETURNED], [], [PARKED], []),
        ([RETURNED], [BILL], [], [Category.BILL_CUT]),
    ],
)
def test_cut_bill_and_account_of_the_run_tell_the_same(cuts, bills, accounts, categories):
    assert [difference.category for difference in check_cut("cut", cuts, bills, accounts)] == categories


COUNTS = BillRunCounts(accounts=4, billed=2, skipped=1, parked=1, amounts={"EUR": Decimal("13.00")})


@pytest.mark.parametrize(
    ("stored", "differs"),
    [
        (COUNTS, False),
        (COUNTS.model_copy(update={"billed": 3}), True),
        (COUNTS.model_copy(update={"accounts": 5}), True),
        (COUNTS.model_copy(update={"amounts": {"EUR": Decimal("13.01")}}), True),
        (COUNTS.model_copy(update={"amounts": {}}), True),
        (COUNTS.model_copy(update={"amounts": {"EUR": Decimal("13.0"), "USD": Decimal(0)}}), False),
    ],
)
def test_a_run_counts_its_accounts_as_they_are(stored, differs):
    at = datetime(2026, 4, 1, tzinfo=UTC)
    run = BillRunChanged(id="r", cycle="monthly", period="2026-03", state=BillRunState.COMPLETED, counts=stored, started_at=at)
    assert [difference.category for difference in check_counts(run, COUNTS)] == [Category.RUN_COUNTS] * differs


DONE = Request("done", "b1")
REJECTED = Request("rejected", None)
RUNNING = Request("inProgress", None)


@pytest.mark.parametrize(
    ("asked", "taken", "bills", "found"),
    [
        ([DONE], [DONE], [BILL], []),
        ([], [DONE], [BILL], []),
        ([REJECTED], [REJECTED], [], []),
        ([RUNNING], [], [], ["inProgress at the gateway, unknown to on_demand_bill"]),
        ([], [], [BILL], ["none"]),
        ([RUNNING], [RUNNING], [], ["in progress"]),
        ([RUNNING], [DONE], [BILL], ["inProgress"]),
        ([DONE], [DONE], [], ["bill None"]),
        ([REJECTED], [REJECTED], [BILL], ["bill b1"]),
    ],
)
def test_a_request_ends_and_says_the_same_everywhere(asked, taken, bills, found):
    assert [difference.found for difference in check_request("r1", asked, taken, bills)] == found
