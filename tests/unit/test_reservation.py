"""Quota of sessions that share a prepaid balance: never more in all than there is, and nobody stands in its own way."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.pricing.reservation import Balance, reserve


@pytest.mark.parametrize(
    ("amount", "held", "used", "wanted", "granted", "left"),
    [
        (1_000, {}, 0, 800, 800, 1_000),
        (1_000, {"other": 800}, 0, 500, 200, 1_000),
        (1_000, {"other": 800}, 0, 200, 200, 1_000),
        (1_000, {"own": 800}, 0, 900, 900, 1_000),
        (1_000, {"own": 200, "other": 700}, 150, 900, 150, 850),
        (1_000, {"own": 1_000}, 1_000, 10, 0, 0),
        (1_000, {"own": 100, "other": 900}, 300, 10, 0, 700),
        (100, {}, 130, 10, 0, -30),
        (1_000, {"own": 500}, 200, 0, 0, 800),
    ],
)
def test_a_session_is_granted_what_others_do_not_hold(
    amount: int, held: dict[str, int], used: int, wanted: int, granted: int, left: int
) -> None:
    before = Balance(Fraction(amount), {session: Fraction(part) for session, part in held.items()})
    after, grant = reserve(before, "own", used=Fraction(used), wanted=Fraction(wanted))
    assert (grant.amount, grant.is_partial, after.amount) == (granted, granted < wanted, left)
    assert after.held.get("own", 0) == granted
    assert ("own" in after.held) is (granted > 0)
    assert after.held.get("other") == before.held.get("other")


@pytest.mark.parametrize(("used", "wanted"), [(-1, 0), (0, -1)])
def test_less_than_nothing_is_refused(used: int, wanted: int) -> None:
    with pytest.raises(ValueError, match="session s cannot"):
        reserve(Balance(Fraction(1)), "s", used=Fraction(used), wanted=Fraction(wanted))


def sixtieths(maximum: int) -> st.SearchStrategy[Fraction]:
    """All fractions up to there of denominators up to 6, and some more: drawn several times as fast as by st.fractions."""
    return st.integers(0, 60 * maximum).map(lambda count: Fraction(count, 60))


REQUESTS = st.lists(st.tuples(st.sampled_from("abc"), sixtieths(1), sixtieths(2_000)))


@given(st.integers(0, 3_000), REQUESTS)
def test_sessions_that_use_no_more_than_they_were_granted_never_overspend(amount: int, requests: list) -> None:
    balance = Balance(Fraction(amount))
    spent = Fraction(0)
    for session, share, wanted in requests:
        used = balance.held.get(session, Fraction(0)) * share
        spent += used
        balance, grant = reserve(balance, session, used=used, wanted=wanted)
        assert balance.amount == amount - spent
        assert 0 <= grant.amount <= wanted
        assert balance.reserved <= balance.amount
        assert not grant.is_partial or balance.reserved == balance.amount
