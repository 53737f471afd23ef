"""The state machine of bills, as a table of what happens to every request in every state."""

from datetime import timedelta
from decimal import Decimal

import pytest

from libs.billing import change_state
from libs.contracts import BillIssued, BillState, BillStateChanged, BillStateRefused
from tests.closings import CLOSED_AT, asks, closed
from tests.outcomes import bill_of

LATER = CLOSED_AT + timedelta(days=3)

# Rows: where the bill is (and from where it was held). Columns: what is asked for. Cells: where it goes, `=` for
# no change, `-` for refused.
TABLE = """
                        new        validated  sent           partiallyPaid  settled  onHold
new                     =          validated  sent           -              -        onHold
validated               -          =          sent           -              -        onHold
sent                    -          -          =              -              -        onHold
partiallyPaid           -          -          -              =              -        onHold
settled                 -          -          -              -              =        -
onHold:new              new        validated  -              -              -        =
onHold:validated        new        validated  -              -              -        =
onHold:sent             -          -          sent           -              -        =
onHold:partiallyPaid    -          -          partiallyPaid  -              -        =
"""
_HEAD, *_ROWS = (row.split() for row in TABLE.strip().splitlines())
CASES = [(row[0], asked, outcome) for row in _ROWS for asked, outcome in zip(_HEAD, row[1:], strict=True)]


def bill_in(where: str, amount: str = "100.00") -> BillIssued:
    state, _, held_from = where.partition(":")
    told = {"state": BillState(state), "held_from": BillState(held_from) if held_from else None}
    bill = bill_of(closed("ada", amount)).model_copy(update=told)
    if "partiallyPaid" in where:
        return bill.model_copy(update={"remaining_amount": Decimal("1.00")})
    return bill.model_copy(update={"remaining_amount": Decimal("0.00")}) if state == "settled" else bill


def test_the_table_has_every_state_and_every_request():
    assert set(_HEAD) == set(BillState)
    assert len(CASES) == 9 * 6


@pytest.mark.parametrize(("where", "asked", "outcome"), CASES)
def test_a_request_moves_a_bill_as_the_table_says(where: str, asked: str, outcome: str):
    bill = bill_in(where)
    answer = change_state(bill, asks("r1", bill.id, BillState(asked)), LATER)
    assert (answer.id, answer.request_id, answer.account_id) == ("r1", "r1", "ada")
    if outcome in "=-":
        assert isinstance(answer, BillStateRefused)
        assert answer.unchanged is (outcome == "=")
        assert answer.reason
        return
    assert isinstance(answer, BillStateChanged)
    assert (answer.from_state, answer.bill.state) == (bill.state, BillState(outcome))
    assert answer.bill.held_from is (bill.state if outcome == "onHold" else None)
    moving = {"state", "held_from", "last_update_at"}
    assert answer.bill.model_dump(exclude=moving) == bill.model_dump(exclude=moving)
    assert answer.bill.last_update_at == LATER


@pytest.mark.parametrize("where", ["new", "validated", "sent", "partiallyPaid"])
def test_a_bill_released_from_hold_is_where_it_was(where: str):
    bill = bill_in(where)
    held = change_state(bill, asks("r1", bill.id, BillState.ON_HOLD), LATER)
    assert isinstance(held, BillStateChanged)
    release = BillState.SENT if where == "partiallyPaid" else BillState(where)
    released = change_state(held.bill, asks("r2", bill.id, release), LATER)
    assert isinstance(released, BillStateChanged)
    assert released.bill.model_dump(exclude={"last_update_at"}) == bill.model_dump(exclude={"last_update_at"})


@pytest.mark.parametrize("where", ["new", "validated", "onHold:sent"])
def test_a_bill_of_zero_is_settled_as_soon_as_it_is_sent(where: str):
    answer = change_state(bill_in(where, "0.00"), asks("r1", "b", BillState.SENT), LATER)
    assert isinstance(answer, BillStateChanged)
    assert answer.bill.state is BillState.SETTLED


def test_payments_that_came_during_a_hold_count_when_it_ends():
    held = bill_in("onHold:sent").model_copy(update={"remaining_amount": Decimal("0.00")})
    answer = change_state(held, asks("r1", held.id, BillState.SENT), LATER)
    assert isinstance(answer, BillStateChanged)
    assert answer.bill.state is BillState.SETTLED


def test_a_bill_that_does_not_exist_is_refused_by_name():
    answer = change_state(None, asks("r1", "nothing", BillState.SENT), LATER)
    assert isinstance(answer, BillStateRefused)
    assert (answer.bill_id, answer.unchanged, answer.reason) == ("nothing", False, "there is no bill nothing on account ada")


def test_a_refusal_says_where_the_bill_may_go():
    answer = change_state(bill_in("validated"), asks("r1", "b", BillState.NEW), LATER)
    assert isinstance(answer, BillStateRefused)
    assert answer.reason == "a bill that is validated cannot become new; from there it goes to onHold, sent"
    paid = change_state(bill_in("sent"), asks("r1", "b", BillState.SETTLED), LATER)
    assert isinstance(paid, BillStateRefused)
    assert paid.reason == "settled is set by payments; ask for new, onHold, validated or sent"


def test_the_last_update_never_goes_back():
    bill = bill_in("new")
    answer = change_state(bill, asks("r1", bill.id, BillState.VALIDATED), bill.last_update_at - timedelta(hours=1))
    assert isinstance(answer, BillStateChanged)
    assert answer.bill.last_update_at == bill.last_update_at
