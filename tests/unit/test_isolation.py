"""Which messages of a batch are handled, parked, or wait: for any batch, any faults and any keys."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.failures import reason_of
from libs.runtime.parking import Unprocessable
from libs.runtime.parking.isolation import PARTS, TRIES_MAX, Isolation, Item, Settled


class Handler:
    """Fails for the messages in `faults`: that many times, or always where None."""

    def __init__(self, faults: dict[int, tuple[Exception, int | None]]) -> None:
        self.faults = dict(faults)
        self.calls = 0
        self.handled: list[int] = []
        self.pauses: list[float] = []

    async def answer(self, items: Sequence[Item]) -> None:
        self.calls += 1
        for item in items:
            fault = self.faults.get(item.record)
            if fault is not None:
                error, left = fault
                # A message that passes after some failures has been tried alone for as often.
                if left is not None and len(items) == 1:
                    if left == 0:
                        continue
                    self.faults[item.record] = (error, left - 1)
                raise error
        self.handled += [item.record for item in items]

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


def settle(handler: Handler, items: Sequence[Item], **options: Any) -> Settled:
    return asyncio.run(Isolation(handler.answer, handler.pause, **options).settle(items))


def numbered(items: Sequence[Item]) -> list[int]:
    return [item.record for item in items]


def test_a_good_batch_is_one_call() -> None:
    handler = Handler({})
    settled = settle(handler, [Item(number, None) for number in range(500)])
    assert (handler.calls, numbered(settled.handled)) == (1, list(range(500)))


def test_one_bad_message_costs_few_calls_and_the_others_are_handled_before_its_next_try() -> None:
    handler = Handler({250: (KeyError("bill-2"), None)})
    settled = settle(handler, [Item(number, None) for number in range(500)])
    assert [(item.record, reason) for item, reason in settled.failed] == [(250, "KeyError: 'bill-2'")]
    assert sorted(numbered(settled.handled)) == [number for number in range(500) if number != 250]
    assert handler.calls <= 3 * PARTS + TRIES_MAX
    assert len(handler.pauses) == TRIES_MAX - 1


def test_all_bad_messages_share_the_pauses() -> None:
    handler = Handler({number: (ValueError("bad"), None) for number in range(500)})
    settled = settle(handler, [Item(number, None) for number in range(500)])
    assert len(settled.failed) == 500
    assert len(handler.pauses) == TRIES_MAX - 1
    assert handler.calls < 500 * (TRIES_MAX + 0.2)


def test_what_can_never_succeed_is_not_tried_again() -> None:
    handler = Handler({0: (Unprocessable("no such account"), None)})
    settled = settle(handler, [Item(0, None)])
    assert ([reason for _, reason in settled.failed], handler.calls, handler.pauses) == (["no such account"], 1, [])


def test_what_passes_at_a_later_try_is_handled_and_its_followers_after_it() -> None:
    handler = Handler({0: (ValueError("not yet"), TRIES_MAX - 1)})
    settled = settle(handler, [Item(number, None, chain="ada") for number in range(3)])
    assert (numbered(settled.handled), settled.failed, settled.waiting) == ([0, 1, 2], [], [])
    assert settled.recovered == 1


def test_the_infrastructures_error_is_raised_and_parks_nobody() -> None:
    handler = Handler({1: (ConnectionError("away"), None)})
    with pytest.raises(ConnectionError):
        settle(handler, [Item(number, None) for number in range(3)])


def test_behind_a_chain_that_is_parked_already_all_wait() -> None:
    items = [Item(0, None, chain="ada"), Item(1, None, chain="bob"), Item(2, None, chain="ada")]
    settled = settle(Handler({}), items, blocked={"ada"})
    assert (numbered(settled.waiting), numbered(settled.handled)) == ([0, 2], [1])


def test_what_comes_before_an_unreadable_message_of_its_chain_is_handled() -> None:
    items = [Item(0, None, chain="ada"), Item(1, None, chain="ada", verdict="no JSON"), Item(2, None, chain="ada")]
    settled = settle(Handler({}), items)
    assert (numbered(settled.handled), numbered(settled.waiting)) == ([0], [2])
    assert [(item.record, reason) for item, reason in settled.failed] == [(1, "no JSON")]


@st.composite
def batches(draw: st.DrawFn) -> tuple[list[Item], dict[int, tuple[Exception, int | None]]]:
    length = draw(st.integers(1, 60))
    chains = draw(st.lists(st.sampled_from([None, "ada", "bob", "cleo"]), min_size=length, max_size=length))
    verdicts = draw(st.dictionaries(st.integers(0, length - 1), st.just("no JSON"), max_size=5))
    errors = st.sampled_from([KeyError("x"), OverflowError("int too large"), Unprocessable("no")])
    faults = draw(
        st.dictionaries(st.integers(0, length - 1), st.tuples(errors, st.one_of(st.none(), st.integers(1, TRIES_MAX + 1))), max_size=length)
    )
    return [Item(number, None, chain=chain, verdict=verdicts.get(number)) for number, chain in enumerate(chains)], faults


@given(batches())
def test_every_message_has_one_outcome_and_no_chain_is_overtaken(batch: tuple[list[Item], dict[int, tuple[Exception, int | None]]]) -> None:
    items, faults = batch
    handler = Handler(faults)
    settled = settle(handler, items)
    failed = {item.record: reason for item, reason in settled.failed}
    outcomes = [*numbered(settled.handled), *failed, *numbered(settled.waiting)]
    assert sorted(outcomes) == list(range(len(items))), "each message is handled, parked or waiting, once"
    assert sorted(handler.handled) == sorted(numbered(settled.handled)), "nothing is handled twice"
    for item in items:
        behind_parked = any(other.chain == item.chain is not None and other.record < item.record for other, _ in settled.failed)
        if item.chain is None or not behind_parked:
            assert item.record not in numbered(settled.waiting), "nobody waits without one to wait for"
        elif item.record not in failed:
            assert item.record in numbered(settled.waiting), "nothing overtakes a parked message of its chain"
        if (
            item.record in failed
            and item.verdict is None
            and item.record in faults
            and not isinstance(faults[item.record][0], Unprocessable)
        ):
            assert failed[item.record] == reason_of(faults[item.record][0]) or "kept failing" in failed[item.record]
    for chain in {item.chain for item in items if item.chain is not None}:
        in_order = [number for number in handler.handled if items[number].chain == chain]
        assert in_order == sorted(in_order)
    assert len(handler.pauses) <= 8
