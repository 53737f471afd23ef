"""Looks at what differs while the services write: what stands still is told, what moves is counted apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from libs.audit.domain.difference import Category, Difference
from libs.audit.findings import Findings
from libs.audit.looks import IN_FLIGHT, LOOKS_MAX, WAITING_FOR_USAGES, Unhandled, look_until_sure
from libs.audit.reader import Reader
from libs.contracts import BillIssued, ChargesClosed, UsageReceived
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect


def difference(id: str, found: str, category: Category = Category.CHARGE_USAGES) -> Difference:
    return Difference(category=category, id=id, expected="as counted", found=found)


class Step:
    """A step that finds, look by look, what a table says: `found` by id; the last look stands for all later ones."""

    def __init__(self, looks: Sequence[Mapping[str, str]], *, has_keys: bool = True, category: Category = Category.CHARGE_USAGES) -> None:
        self.limits: list[dict[str, Any]] = []
        self._looks = looks
        self._has_keys = has_keys
        self._category = category

    async def __call__(self, reader: Reader, findings: Findings) -> None:
        look = self._looks[min(len(self.limits), len(self._looks) - 1)]
        self.limits.append(reader.among("_id"))
        findings.checked["charges"] += 10
        for id, found in look.items():
            findings.add(difference(id, found, self._category), key=id if self._has_keys else None)


async def found_by(step: Step, samples: Sequence[Unhandled] = ()) -> Findings:
    unhandled = iter(samples)

    async def handled_until() -> Unhandled:
        return next(unhandled)

    findings = Findings()
    client = connect(RuntimeSettings())
    try:
        await look_until_sure(step, Reader(RuntimeSettings(), client), findings, handled_until, pause_s=0)
    finally:
        await client.close()
    return findings


@pytest.mark.parametrize(
    ("looks", "told", "moving", "look_count"),
    [
        ([{}], [], 0, 1),
        ([{"a": "1"}], ["a"], 0, 2),
        ([{"a": "1"}, {}], [], 0, 2),
        ([{"a": "1"}, {"a": "2"}, {}], [], 0, 3),
        ([{"a": "1"}, {"a": "2"}, {"a": "2"}], ["a"], 0, 3),
        ([{"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "4"}], [], 1, LOOKS_MAX),
        ([{"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"b": "3"}, {"b": "4"}], ["a"], 1, LOOKS_MAX),
        ([{"a": "1"}, {"b": "1"}, {"b": "1"}], ["b"], 0, 3),
    ],
)
async def test_what_two_looks_find_alike_is_told_and_what_changes_is_moving(
    looks: Sequence[Mapping[str, str]], told: list[str], moving: int, look_count: int
) -> None:
    step = Step(looks)
    findings = await found_by(step)
    assert [each.id for each in findings.differences] == told
    assert findings.counts.total() == len(told)
    assert findings.moving.total() == moving
    assert findings.checked["charges"] == 10
    assert len(step.limits) == look_count
    assert findings.is_clean is (not told)


FACTS = (("issue_bills", ChargesClosed.topic), ("post_bills", BillIssued.topic))
USAGES = (("rate_usages", UsageReceived.topic), ("rate_usages", UsageReceived.topic))


def sampled(handlers: Sequence[tuple[str, str]], *offsets: int | None) -> Unhandled:
    """Return where two partitions stand, without those that are read to the end."""
    partitions = enumerate(zip(handlers, offsets, strict=False))
    return {(*handler, partition): offset for partition, (handler, offset) in partitions if offset is not None}


@pytest.mark.parametrize("category", sorted(IN_FLIGHT))
@pytest.mark.parametrize(
    ("samples", "told", "look_count"),
    [
        # Nothing is unhandled.
        ([(None,)], True, 2),
        # Handlers stand still.
        ([(5,), (5,)], True, 2),
        # They come nearer, and then have handled all.
        ([(5,), (7,), (None,)], True, 3),
        ([(5,), (None,), (None,)], True, 3),
        ([(5, 1), (5, 2), (5,), (5,)], True, 3),
        # They are not at an end when the last look is.
        ([(5,), (6,), (6,), (7,), (7,), (8,)], False, LOOKS_MAX),
        ([(5, 1), (5, 2), (5, 2), (5, 3), (5, 3), (6, 3)], False, LOOKS_MAX),
    ],
)
async def test_what_services_pass_on_is_told_once_nothing_is_unhandled_or_they_stand_still(
    category: Category, samples: Sequence[tuple[int | None, ...]], told: bool, look_count: int
) -> None:
    step = Step([{"a": "1"}], category=category)
    handlers = USAGES if category in WAITING_FOR_USAGES else FACTS
    findings = await found_by(step, [sampled(handlers, *offsets) for offsets in samples])
    assert (findings.counts[category], findings.moving[category]) == ((1, 0) if told else (0, 1))
    assert len(step.limits) == look_count


@pytest.mark.parametrize("category", sorted(IN_FLIGHT))
async def test_usages_that_are_rated_delay_nothing_that_services_pass_on(category: Category) -> None:
    step = Step([{"a": "1"}], category=category)
    handlers = FACTS if category in WAITING_FOR_USAGES else USAGES
    findings = await found_by(step, [sampled(handlers, 5), sampled(handlers, 6)])
    assert (findings.counts[category], len(step.limits)) == (1, 2)


async def test_later_looks_are_at_what_differed_alone() -> None:
    step = Step([{"a": "1", "b": "1"}, {"a": "1"}])
    await found_by(step)
    assert step.limits[0] == {}
    assert sorted(step.limits[1]["_id"]["$in"]) == ["a", "b"]
    whole = Step([{"a": "1"}], has_keys=False)
    await found_by(whole)
    assert whole.limits == [{}, {}]


def test_what_was_found_comes_back_from_a_file() -> None:
    findings = Findings()
    findings.checked["charges"] += 3
    findings.moving[Category.BILL_CUT] += 2
    findings.add(difference("a", "1"))
    restored = Findings.from_json(findings.as_json())
    assert restored.as_json() == findings.as_json()
    assert restored.differences == findings.differences
