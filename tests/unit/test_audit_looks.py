"""Looks at what differs while the services write: what stands still is told, what moves is counted apart."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from libs.audit.domain.difference import Category, Difference
from libs.audit.findings import Findings
from libs.audit.looks import LOOKS_MAX, look_until_sure
from libs.audit.reader import Reader
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect


def difference(id: str, found: str) -> Difference:
    return Difference(category=Category.CHARGE_USAGES, id=id, expected="as counted", found=found)


class Step:
    """A step that finds, look by look, what a table says: `found` by id; the last look stands for all later ones."""

    def __init__(self, looks: Sequence[Mapping[str, str]], *, has_keys: bool = True) -> None:
        self.limits: list[dict[str, Any]] = []
        self._looks = looks
        self._has_keys = has_keys

    async def __call__(self, reader: Reader, findings: Findings) -> None:
        look = self._looks[min(len(self.limits), len(self._looks) - 1)]
        self.limits.append(reader.among("_id"))
        findings.checked["charges"] += 10
        for id, found in look.items():
            findings.add(difference(id, found), key=id if self._has_keys else None)


async def found_by(step: Step) -> Findings:
    findings = Findings()
    client = connect(RuntimeSettings())
    try:
        await look_until_sure(step, Reader(RuntimeSettings(), client), findings, pause_s=0)
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
