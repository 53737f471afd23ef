"""What suspended usage waits for, and when somebody must look again."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.contracts import UsageReceived, UsageRejected
from libs.pricing import load_rate_books
from services.rating.documents import earlier_answer, rejected_document
from services.rating.domain.arrivals import KEYS_AT_A_TIME, missed_keys, retries_of
from services.rating.domain.deciding import Rater
from services.rating.domain.holdings import Account, Holding, Holdings, Product
from services.rating.domain.limits import UsageLimits
from tests.rating_world import ZONE, call

ADA = "+12125550001"
SINCE = datetime(2024, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 4, 1, tzinfo=UTC)
BOOKS = load_rate_books(Path("deploy/rate-books"))
ACCOUNTS = {"ada": Account("ada", "USD", ZONE)}


def held_by(offering: str) -> dict[str, tuple[Holding, ...]]:
    return {ADA: (Holding.of(Product("line", "ada", offering, "Line", "active", SINCE), SINCE, None),)}


def rater(holdings: Holdings) -> Rater:
    return Rater(holdings, BOOKS, UsageLimits(timedelta(hours=1), timedelta(days=365)), NOW)


def rejected(usage: UsageReceived, holdings: Holdings) -> UsageRejected:
    outcome = rater(holdings).rate(usage)
    assert isinstance(outcome, UsageRejected)
    return outcome


NOBODY = Holdings({}, {})
NO_ACCOUNT = Holdings(held_by("churn-plan"), {})
NO_PRICE = Holdings(held_by("never-sold"), ACCOUNTS)
ALL_THERE = Holdings(held_by("churn-plan"), ACCOUNTS)


@pytest.mark.parametrize(
    ("usage", "holdings", "waits_for"),
    [
        (call("u", ADA), NOBODY, (f"identifier:{ADA}",)),
        (call("u", "+1 212 555-0001"), NOBODY, ("identifier:+1 212 555-0001", f"identifier:{ADA}")),
        (call("u", "a.user"), NOBODY, ("identifier:a.user",)),
        (call("u", ADA), NO_ACCOUNT, ("account:ada", f"identifier:{ADA}")),
        (call("u", ADA), NO_PRICE, ("offering:never-sold", f"identifier:{ADA}")),
        (call("u", ADA, unit="byte"), ALL_THERE, ("offering:churn-plan", f"identifier:{ADA}")),
        (call("u", ADA, to="INFO"), ALL_THERE, ("offering:churn-plan", f"identifier:{ADA}")),
        (call("u", ADA, seconds=10**9), ALL_THERE, ()),
        (call("u", ADA, seconds=-1), NOBODY, ()),
        (call("u", ADA, at="2027-01-01 10:00"), ALL_THERE, ()),
        (call("u", ADA, at="2020-01-01 10:00"), ALL_THERE, ()),
    ],
)
def test_a_refusal_names_what_would_mend_it(usage: UsageReceived, holdings: Holdings, waits_for: tuple[str, ...]) -> None:
    refusal = rejected(usage, holdings)
    assert refusal.waits_for == waits_for
    assert earlier_answer(rejected_document(refusal)).answer == refusal


@pytest.mark.parametrize(
    ("before", "now", "is_missed"),
    [
        (NOBODY, NOBODY, False),
        (NOBODY, ALL_THERE, True),
        (NO_ACCOUNT, ALL_THERE, True),
        (NO_PRICE, NO_PRICE, False),
        # It would wait for something else now: unless it is retried, it is not found when that arrives.
        (NOBODY, NO_ACCOUNT, True),
        (NO_ACCOUNT, NO_PRICE, True),
    ],
)
def test_who_suspends_looks_again_whether_it_came_meanwhile(before: Holdings, now: Holdings, is_missed: bool) -> None:
    waiting = rejected(call("u", ADA), before)
    assert set(missed_keys([waiting], rater(now))) == (set(waiting.waits_for) if is_missed else set())


def test_requests_name_all_keys_once_and_are_the_same_when_their_cause_comes_again() -> None:
    keys = [f"identifier:{number}" for number in range(2 * KEYS_AT_A_TIME + 1)]
    requests = retries_of([*keys, *keys], ["b:1", "a:1"])
    assert len(requests) == 3
    assert sorted(key for request in requests for key in request.waits_for) == sorted(keys)
    assert requests == retries_of(reversed(keys), ["a:1", "b:1"])
    assert {request.id for request in requests}.isdisjoint(request.id for request in retries_of(keys, ["a:2", "b:1"]))
    assert retries_of([], ["a:1"]) == []
