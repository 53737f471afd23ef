"""Several looks at what differs, because the services write while the audit reads.

A difference is told once two looks in a row found it in the same words. What other looks find otherwise is moving: it is counted
apart, and the next audit sees how it ended. What the services pass on to each other looks the same for as long as they work off
what was published before it: it is told once nothing is unhandled, or once handlers stand still.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping

from libs.audit.domain.difference import Category, Difference
from libs.audit.findings import Findings
from libs.audit.reader import Reader
from libs.contracts import UsageReceived

LOOKS_MAX = 4
PAUSE_S = 2.0
# Of each category. A fault of the code shows in far fewer.
SUSPECTS_MAX = 10_000

# What one service has stored and another one has not handled yet. Usages come all the time: they delay nothing but themselves.
WAITING_FOR_USAGES = frozenset({Category.USAGE_WAITING})
WAITING_FOR_FACTS = frozenset(
    {Category.CHARGE_NOT_BILLED, Category.CUT_UNBILLED, Category.LEDGER_ENTRY, Category.ON_DEMAND_REQUEST, Category.RUN_ACCOUNT}
)
IN_FLIGHT = WAITING_FOR_USAGES | WAITING_FOR_FACTS

Step = Callable[[Reader, Findings], Awaitable[None]]
# Up to where handlers have come, by group, plain topic and partition, in the partitions that they have not read to the end.
Unhandled = Mapping[tuple[str, str, int], int]


async def look_until_sure(
    step: Step, reader: Reader, findings: Findings, unhandled: Callable[[], Awaitable[Unhandled]], pause_s: float = PAUSE_S
) -> None:
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
        before = await unhandled() if _in_flight(left) else {}
        await asyncio.sleep(pause_s)
        again = Findings(SUSPECTS_MAX)
        await step(_limited(reader, left), again)
        moving = _moving(before, await unhandled() if before else {})
        alike = [difference for difference in again.differences if difference in left.keys]
        known |= dict.fromkeys(difference for difference in alike if difference.category not in moving)
        left = _without(again, known)
    findings.add(*known)
    findings.moving += _counted(left.differences)
    for category, count in unseen.items():
        # More than can be looked at again: as those are that were.
        counts = findings.counts if any(difference.category is category for difference in known) else findings.moving
        counts[category] += count


def _in_flight(left: Findings) -> bool:
    return any(difference.category in IN_FLIGHT for difference in left.differences)


def _moving(before: Unhandled, after: Unhandled) -> frozenset[Category]:
    """Return the categories of what handlers are working off."""
    topics = {topic for (group, topic, partition), offset in before.items() if after.get((group, topic, partition)) != offset}
    of_usages = WAITING_FOR_USAGES if UsageReceived.topic in topics else frozenset()
    return of_usages | (WAITING_FOR_FACTS if topics - {UsageReceived.topic} else frozenset())


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
