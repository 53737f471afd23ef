"""Several looks at what differs, because the services write while the audit reads.

A difference is told once two looks in a row found it in the same words. What other looks find otherwise is moving: it is counted
apart, and the next audit sees how it ended.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

from libs.audit.domain.difference import Category, Difference
from libs.audit.findings import Findings
from libs.audit.reader import Reader

LOOKS_MAX = 4
PAUSE_S = 2.0
# Of each category. A fault of the code shows in far fewer.
SUSPECTS_MAX = 10_000

Step = Callable[[Reader, Findings], Awaitable[None]]


async def look_until_sure(step: Step, reader: Reader, findings: Findings, pause_s: float = PAUSE_S) -> None:
    """Run a step, look again at what differs, and add what is known to be wrong and what moves."""
    suspects = Findings(SUSPECTS_MAX)
    # Of what a step checks everybody sees at once how far it is.
    suspects.checked = findings.checked
    await step(reader, suspects)
    unseen = suspects.counts - _counted(suspects.differences)
    known: dict[Difference, None] = {}
    left = suspects
    for _ in range(LOOKS_MAX - 1):
        if not left.differences:
            break
        await asyncio.sleep(pause_s)
        again = Findings(SUSPECTS_MAX)
        await step(_limited(reader, left), again)
        known |= dict.fromkeys(difference for difference in again.differences if difference in left.keys)
        left = _without(again, known)
    findings.add(*known)
    findings.moving += _counted(left.differences)
    for category, count in unseen.items():
        # More than can be looked at again: as those are that were.
        counts = findings.counts if any(difference.category is category for difference in known) else findings.moving
        counts[category] += count


def _limited(reader: Reader, left: Findings) -> Reader:
    keys = {left.keys[difference] for difference in left.differences}
    return reader if None in keys else reader.limited_to({key for key in keys if key is not None})


def _without(again: Findings, known: dict[Difference, None]) -> Findings:
    left = Findings(SUSPECTS_MAX)
    for difference in again.differences:
        if difference not in known:
            left.add(difference, key=again.keys[difference])
    return left


def _counted(differences: Iterable[Difference]) -> Counter[Category]:
    return Counter(difference.category for difference in differences)
