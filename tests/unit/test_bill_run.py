"""A bill run and its accounts, without anything around them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.contracts import AccountParked, BillRunChanged, BillRunRequested, BillRunState, PeriodCut, RunType
from libs.periods import calendar_month
from services.operations.domain.bill_run import advance, begin, nonsense, refuse, run_again, too_early
from services.operations.domain.run_account import AccountOutcome, RunAccount, ask, decide, run_account_id
from tests.outcomes import AT, issued, parked, passed_over, refused, skipped

RUN_ID = "monthly:2026-03"
LATER = datetime(2026, 4, 3, tzinfo=UTC)


def requested(period: str = "2026-03", at: datetime = LATER, **fields) -> BillRunRequested:
    return BillRunRequested(**{"id": f"monthly:{period}", "cycle": "monthly", "period": period, "requested_at": at, **fields})


def run_of(account_count: int) -> BillRunChanged:
    return begin(requested(), account_count)


def account_in_run(account_id: str = "ada", zone: str = "Europe/Madrid") -> RunAccount:
    return RunAccount(id=run_account_id(RUN_ID, account_id), run_id=RUN_ID, account_id=account_id, time_zone=zone)


def billed(account_id: str = "ada", amount: str = "12.10", currency: str = "EUR") -> tuple[RunAccount, RunAccount]:
    before = account_in_run(account_id)
    return before, decide(before, issued(account_id, RUN_ID, RunType.ON_CYCLE, amount, currency), AT)


# Parts that look like several, or like others that were escaped.
hostile = st.text(alphabet="m|%7C25:", min_size=1, max_size=6)


@given(hostile, hostile, hostile, hostile)
def test_two_accounts_in_runs_never_have_one_id(cycle: str, account_id: str, other_cycle: str, other_account_id: str):
    one, other = (f"{cycle}:2026-03", account_id), (f"{other_cycle}:2026-03", other_account_id)
    assert (run_account_id(*one) == run_account_id(*other)) is (one == other)


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (requested("2026-3"), "'2026-3' is not a month written as YYYY-MM"),
        (requested("march"), "'march' is not a month written as YYYY-MM"),
        (requested("9999-12"), "9999-12 does not lie within the years 1 to 9999"),
        (requested("2062-03"), "2062-03 is not over in America/New_York before 2062-04-01 04:00 UTC"),
        (
            requested(at=datetime(2026, 4, 1, 3, 59, tzinfo=UTC)),
            "2026-03 is not over in America/New_York before 2026-04-01 04:00 UTC",
        ),
        (requested(id="march-run"), "the id of a run is its cycle and period, monthly:2026-03, not march-run"),
        (requested(rerun=1), "there is no run monthly:2026-03 to run again"),
        (requested(at=datetime(2026, 4, 1, 4, tzinfo=UTC)), None),
    ],
)
def test_a_request_that_makes_no_sense_says_why(request_, reason):
    assert (nonsense(request_) or too_early(request_, ["Europe/Madrid", "America/New_York", "Europe/Atlantis"])) == reason


def test_a_refused_run_is_over_and_keeps_its_reason():
    run = refuse(requested("march"), "not a month")
    assert (run.state, run.reason, run.completed_at) == (BillRunState.REFUSED, "not a month", LATER)


def test_a_run_without_accounts_is_refused():
    assert begin(requested(), 0).reason == "no open account has the cycle monthly"


def test_each_account_is_cut_in_its_own_time_zone_at_the_time_of_the_run():
    cut = ask(account_in_run(zone="Asia/Tokyo"), run_of(1))
    assert isinstance(cut, PeriodCut)
    assert (cut.id, cut.cause_id, cut.run_type) == ("monthly:2026-03|ada", RUN_ID, RunType.ON_CYCLE)
    assert (cut.period, cut.requested_at) == (calendar_month("2026-03", "Asia/Tokyo"), LATER)


def test_an_account_in_no_known_zone_is_parked_with_that_reason():
    answer = ask(account_in_run(zone="Europe/Atlantis"), run_of(1))
    assert isinstance(answer, AccountParked)
    assert answer.reason == "'Europe/Atlantis' is not an IANA time zone such as Europe/Madrid"


@pytest.mark.parametrize(
    ("outcome", "expected", "reason"),
    [
        (issued("ada", RUN_ID, RunType.ON_CYCLE), AccountOutcome.BILLED, None),
        (skipped("ada", RUN_ID, RunType.ON_CYCLE), AccountOutcome.SKIPPED, None),
        (parked("ada", RUN_ID, RunType.ON_CYCLE, "no tax rate"), AccountOutcome.PARKED, "no tax rate"),
        (refused("ada", RUN_ID, RunType.ON_CYCLE, "unknown account"), AccountOutcome.PARKED, "unknown account"),
    ],
)
def test_an_outcome_decides_an_account(outcome, expected, reason):
    decided = decide(account_in_run(), outcome, AT)
    assert (decided.outcome, decided.reason, decided.decided_at) == (expected, reason, AT)


def test_a_billed_account_stays_billed_and_is_counted_once():
    _, after = billed()
    for late in (
        issued("ada", RUN_ID, RunType.ON_CYCLE),
        skipped("ada", RUN_ID, RunType.ON_CYCLE),
        parked("ada", RUN_ID, RunType.ON_CYCLE),
    ):
        assert decide(after, late, LATER) is after


@pytest.mark.parametrize("fees_come_last", [True, False])
def test_fees_that_no_cut_charges_are_counted_by_account_whenever_they_are_heard_of(fees_come_last: bool):
    outcomes = [passed_over("ada", RUN_ID), issued("ada", RUN_ID, RunType.ON_CYCLE, "12.10"), passed_over("ada", RUN_ID)]
    run, account = run_of(2), account_in_run()
    for outcome in outcomes[fees_come_last:]:
        after = decide(account, outcome, AT)
        run, account = advance(run, [(account, after)], AT), after
    assert account.fees_not_charged == passed_over("ada", RUN_ID).fees
    assert (account.outcome, account.amount) == (AccountOutcome.BILLED, Decimal("12.10"))
    assert (run.counts.fees_not_charged, run.counts.billed, run.counts.amounts) == (1, 1, {"EUR": Decimal("12.10")})


def test_counts_and_amounts_follow_the_accounts():
    skip = account_in_run("cid")
    park = account_in_run("dan")
    changes = [
        billed("ada", "12.10"),
        billed("bob", "0.90"),
        billed("yen", "300", "JPY"),
        (skip, decide(skip, skipped("cid", RUN_ID, RunType.ON_CYCLE), AT)),
        (park, decide(park, parked("dan", RUN_ID, RunType.ON_CYCLE), AT)),
    ]
    run = advance(run_of(6), changes, AT)
    assert (run.counts.billed, run.counts.skipped, run.counts.parked) == (3, 1, 1)
    assert run.counts.amounts == {"EUR": Decimal("13.00"), "JPY": Decimal(300)}
    assert (run.state, run.completed_at) == (BillRunState.RUNNING, None)


def test_the_last_outcome_completes_the_run():
    run = advance(run_of(2), [billed("ada")], AT)
    run = advance(run, [billed("bob")], LATER)
    assert (run.state, run.completed_at) == (BillRunState.COMPLETED, LATER)


def test_a_parked_account_that_is_billed_later_moves():
    before = account_in_run()
    waiting = decide(before, parked("ada", RUN_ID, RunType.ON_CYCLE), AT)
    run = advance(run_of(1), [(before, waiting)], AT)
    after = decide(waiting, issued("ada", RUN_ID, RunType.ON_CYCLE), LATER)
    moved = advance(run, [(waiting, after)], LATER)
    assert (moved.counts.billed, moved.counts.parked, moved.counts.amounts) == (1, 0, {"EUR": Decimal("12.10")})
    assert (moved.state, moved.completed_at) == (BillRunState.COMPLETED, AT)
    assert after.reason is None


def test_parked_again_for_another_reason_is_told_and_counted_once():
    before = account_in_run()
    waiting = decide(before, parked("ada", RUN_ID, RunType.ON_CYCLE, "no tax rate"), AT)
    again = decide(waiting, parked("ada", RUN_ID, RunType.ON_CYCLE, "lines do not add up"), LATER)
    run = advance(advance(run_of(1), [(before, waiting)], AT), [(waiting, again)], LATER)
    assert (again.reason, run.counts.parked) == ("lines do not add up", 1)
    assert decide(again, parked("ada", RUN_ID, RunType.ON_CYCLE, "lines do not add up"), LATER) is again


def test_running_again_waits_for_the_parked_only():
    before = account_in_run()
    run = advance(run_of(2), [billed("bob"), (before, decide(before, parked("ada", RUN_ID, RunType.ON_CYCLE), AT))], AT)
    again = run_again(run, attempt=1, reopened_count=1)
    assert (again.state, again.attempt, again.completed_at) == (BillRunState.RUNNING, 1, None)
    assert (again.counts.billed, again.counts.parked) == (1, 0)


def test_running_again_without_parked_accounts_waits_for_nothing():
    run = advance(run_of(1), [billed()], AT)
    again = run_again(run, attempt=1, reopened_count=0)
    assert (again.state, again.completed_at) == (BillRunState.COMPLETED, AT)


def test_every_change_has_a_newer_revision():
    run = run_of(2)
    following = advance(run, [billed("ada")], AT)
    assert run.revision < following.revision < run_again(following, 1, 0).revision
