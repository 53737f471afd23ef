"""The life of a request for a bill on demand, without anything around it."""

from datetime import timedelta

import pytest

from libs.contracts import AccountState, OnDemandBillCompleted, OnDemandBillRequested, OnDemandState, PeriodCut, RunType
from services.on_demand_bill.domain.on_demand_request import OnDemandRequest, accept, answer, conclude
from tests.outcomes import AT, issued, parked, refused, skipped

GRACE = timedelta(seconds=10)
ASKED = OnDemandBillRequested(id="r1", account_id="ada", requested_at=AT)


def running() -> OnDemandRequest:
    return accept(ASKED, AccountState.ACTIVE, AT)


@pytest.mark.parametrize("state", [None, *(state for state in AccountState if state is not AccountState.CLOSED)])
def test_every_account_that_is_not_known_to_be_closed_is_cut(state: AccountState | None):
    cut = answer(accept(ASKED, state, AT))
    assert isinstance(cut, PeriodCut)
    assert (cut.run_type, cut.period, cut.cause_id, cut.requested_at) == (RunType.OFF_CYCLE, None, "r1", AT)


def test_a_closed_account_is_rejected_at_once():
    end = answer(accept(ASKED, AccountState.CLOSED, AT))
    assert isinstance(end, OnDemandBillCompleted)
    assert (end.state, end.reason, end.completed_at) == (OnDemandState.REJECTED, "account ada is closed", AT)


@pytest.mark.parametrize(
    ("outcome", "state", "bill_id", "reason"),
    [
        (issued("ada", "r1", RunType.OFF_CYCLE), OnDemandState.DONE, "bill-of-r1-ada", None),
        (skipped("ada", "r1", RunType.OFF_CYCLE), OnDemandState.REJECTED, None, "nothing to bill"),
        (parked("ada", "r1", RunType.OFF_CYCLE, "no tax rate"), OnDemandState.TERMINATED_WITH_ERROR, None, "no tax rate"),
    ],
)
def test_the_outcome_of_the_cut_ends_the_request(outcome, state, bill_id, reason):
    request = conclude(running(), outcome, AT, GRACE)
    assert (request.state, request.bill_id, request.reason, request.completed_at) == (state, bill_id, reason, AT)


def test_a_refusal_within_the_grace_is_not_yet_believed():
    request = conclude(running(), refused("ada", "r1", RunType.OFF_CYCLE), AT + GRACE / 2, GRACE)
    assert (request.state, request.refused_at) == (OnDemandState.IN_PROGRESS, AT + GRACE / 2)
    assert answer(request) == answer(running())


def test_a_refusal_after_the_grace_rejects():
    request = conclude(running(), refused("ada", "r1", RunType.OFF_CYCLE, "unknown account ada"), AT + GRACE, GRACE)
    assert (request.state, request.reason) == (OnDemandState.REJECTED, "unknown account ada")


def test_a_bill_is_the_last_word_about_a_request_that_was_refused():
    rejected = conclude(running(), refused("ada", "r1", RunType.OFF_CYCLE), AT + GRACE, GRACE)
    request = conclude(rejected, issued("ada", "r1", RunType.OFF_CYCLE), AT + 2 * GRACE, GRACE)
    assert (request.state, request.bill_id, request.reason) == (OnDemandState.DONE, "bill-of-r1-ada", None)
    assert conclude(rejected, skipped("ada", "r1", RunType.OFF_CYCLE), AT + 2 * GRACE, GRACE) is rejected


def test_an_ended_request_stays_as_it_ended():
    done = conclude(running(), issued("ada", "r1", RunType.OFF_CYCLE), AT, GRACE)
    for late in (skipped("ada", "r1", RunType.OFF_CYCLE), parked("ada", "r1", RunType.OFF_CYCLE), refused("ada", "r1", RunType.OFF_CYCLE)):
        assert conclude(done, late, AT + GRACE, GRACE) is done
