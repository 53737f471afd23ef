"""What a worker cached of holdings counts until a product, an identifier or an account of it changes, and no longer."""

from datetime import UTC, datetime

import pytest

from libs.contracts import FormerOffering, Suspension
from services.rating import holdings_cache
from services.rating.domain.holdings import Account, Holding, Product
from services.rating.holdings_cache import HoldingsCache, Known

SINCE = datetime(2024, 1, 1, tzinfo=UTC)
UNTIL = datetime(2026, 5, 3, 4, 5, 6, 789_000, tzinfo=UTC)
ADA = Account("ada", "EUR", "Europe/Madrid", {"2026-02-01": 1, "2026-03-01": 2})
BOB = Account("bob", "USD", "America/New_York")
RICH = Product(
    "rich",
    "ada",
    "plan",
    "Ada's own ü",
    "active",
    SINCE,
    UNTIL,
    "family",
    (Suspension(start=SINCE, end=UNTIL), Suspension(start=UNTIL)),
    (FormerOffering(offering_id="old", until=UNTIL),),
    SINCE,
)
PLAIN = Product("plain", "bob", "plan", "Plain", "terminated", SINCE)


def known(*holdings: Holding, accounts: tuple[Account, ...], read_at: int = 0) -> Known:
    return Known(read_at, holdings, accounts)


ENTRIES = {
    "+1": known(Holding(RICH, SINCE, UNTIL), accounts=(ADA,)),
    "+2": known(Holding(PLAIN, SINCE, None), Holding(RICH, SINCE, None), accounts=(BOB, ADA)),
    "+3": known(Holding(PLAIN, SINCE, UNTIL), accounts=(BOB,)),
    "nobody": known(accounts=()),
}


def filled() -> HoldingsCache:
    cache = HoldingsCache(2**20)
    cache.keep(ENTRIES)
    return cache


def test_an_entry_comes_back_as_it_was_from_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings_cache, "OBJECTS_MAX", 0)
    cache = filled()
    cache._objects.clear()
    assert cache.find(ENTRIES) == (ENTRIES, [])


@pytest.mark.parametrize(
    ("changed", "read_again"),
    [
        ("rich", {"+1", "+2"}),
        ("plain", {"+2", "+3"}),
        ("ada", {"+1", "+2"}),
        ("bob", {"+2", "+3"}),
        ("+3", {"+3"}),
        ("nobody", {"nobody"}),
        ("other", set()),
    ],
)
@pytest.mark.parametrize("objects", [True, False])
def test_a_change_touches_only_the_entries_that_have_it(changed: str, read_again: set[str], objects: bool) -> None:
    cache = filled()
    cache.forget([changed])
    if not objects:
        cache._objects.clear()
    found, missing = cache.find(ENTRIES)
    assert set(missing) == read_again
    assert found == {identifier: ENTRIES[identifier] for identifier in ENTRIES.keys() - read_again}


def test_what_was_read_before_a_change_does_not_count_though_it_is_kept_after_it() -> None:
    cache = HoldingsCache(2**20)
    cache.forget(["rich"])
    cache.keep(ENTRIES)
    assert set(cache.find(ENTRIES)[1]) == {"+1", "+2"}
    again = known(Holding(RICH, SINCE, None), accounts=(ADA,), read_at=cache.now)
    cache.keep({"+1": again})
    assert cache.find(["+1"]) == ({"+1": again}, [])


def test_a_tenure_without_its_account_is_read_again() -> None:
    cache = HoldingsCache(2**20)
    cache.keep({"+1": known(Holding(RICH, SINCE, None), accounts=())})
    assert cache.find(["+1"]) == ({}, ["+1"])


def test_changes_are_remembered_within_a_bound_beyond_which_all_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings_cache, "CHANGES_MAX", 10)
    cache = filled()
    cache.forget(map(str, range(10)))
    assert cache.find(ENTRIES) == (ENTRIES, [])
    cache.forget(["one more"])
    assert set(cache.find(ENTRIES)[1]) == set(ENTRIES)
    assert not cache._changed


def test_accounts_of_more_kinds_than_are_shared_keep_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings_cache, "TERMS_MAX", 1)
    cache = filled()
    cache._objects.clear()
    assert len(cache._terms) == 1
    assert cache.find(ENTRIES) == (ENTRIES, [])
