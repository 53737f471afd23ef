"""A compact cache answers with what was kept last or with nothing, and a compact set with what was added, both within their bounds."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from services.rating.compact_cache import BUCKET_BYTES_MAX, HASHES_MAX, CompactCache, CompactSet

KEYS = st.sampled_from([f"+3460000000{number}" for number in range(10)] + ["", "a|b", "\n", "ü" * 40])
ROWS = st.binary(max_size=BUCKET_BYTES_MAX + 10)


@given(st.lists(st.tuples(KEYS, ROWS)), st.sampled_from([1, 4_096, 2**20]))
def test_a_row_is_the_one_kept_last_or_gone(kept: list[tuple[str, bytes]], bytes_max: int) -> None:
    cache, last = CompactCache(bytes_max), dict(kept)
    for key, row in kept:
        cache.keep({key: row})
    found = cache.find(last)
    assert found.items() <= last.items()
    key, row = kept[-1] if kept else ("", b"")
    if len(key.encode()) + len(row) < BUCKET_BYTES_MAX - 10:
        assert not kept or found[key] == row


def test_ten_times_the_rows_that_fit_stay_within_the_bound_and_the_newest_are_there() -> None:
    bytes_max = 2**20
    cache = CompactCache(bytes_max)
    rows = {f"+34{number:09}": b"x" * 90 for number in range(10 * bytes_max // 100)}
    cache.keep(rows)
    assert sum(map(sys.getsizeof, cache._buckets)) + sys.getsizeof(cache._buckets) <= bytes_max
    newest = list(rows)[-1_000:]
    assert len(cache.find(newest)) > 900


def test_half_of_what_fits_is_all_there() -> None:
    cache = CompactCache(2**20)
    rows = {f"+34{number:09}": b"x" * 90 for number in range(2**20 // 2 // 110)}
    cache.keep(rows)
    assert len(cache.find(rows)) > 0.9 * len(rows)


def test_a_set_has_what_was_added_and_not_discarded() -> None:
    charges = CompactSet(2**20)
    added = [f"account-{number}|product" for number in range(20_000)]
    charges.add(added)
    charges.add(added)
    assert all(charge in charges for charge in added)
    assert not any(f"{charge}|1" in charges for charge in added)
    charges.discard(added[::2])
    assert [charge in charges for charge in added] == [False, True] * 10_000


def test_a_full_set_drops_what_was_added_first_and_stays_within_its_bound() -> None:
    charges = CompactSet(1)
    added = [str(number) for number in range(HASHES_MAX + 10)]
    charges.add(added)
    assert [charge in charges for charge in added] == [False] * 10 + [True] * HASHES_MAX
    assert max(map(len, charges._buckets)) <= BUCKET_BYTES_MAX
