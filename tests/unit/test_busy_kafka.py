"""A Kafka that is too busy to tell a lag is asked again: only what lasts is a failure, and it is named."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import GroupCoordinatorNotAvailableError

from libs.demo import replay
from libs.runtime import RuntimeSettings
from libs.runtime.lag import LagReader, NotSettled

SETTINGS = RuntimeSettings(namespace="busy")
CALLS = 10
BUSY = GroupCoordinatorNotAvailableError()


class Kafka:
    """Answers in turn, and raises what is an error."""

    acknowledged_count = CALLS

    def __init__(self, answers: Iterator[Any]) -> None:
        self._answers = answers

    async def list_consumer_groups(self) -> Any:
        """Return the next answer."""
        await asyncio.sleep(0)
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    lags = list_consumer_groups


def settled(kafka: Any, timeout_s: float) -> Any:
    return LagReader(SETTINGS, kafka, kafka).settled(timeout_s)


async def watched(kafka: Any) -> list[int]:
    rated: list[int] = []
    publishing = asyncio.create_task(asyncio.sleep(0))
    await replay._watch_rating(SETTINGS, kafka, kafka, publishing, CALLS, rated.append)
    return rated


async def test_settling_waits_for_a_busy_kafka() -> None:
    await settled(Kafka(iter([BUSY, BUSY, []])), 30.0)


async def test_a_kafka_that_never_answers_is_not_settled() -> None:
    with pytest.raises(NotSettled, match="GroupCoordinatorNotAvailable"):
        await settled(Kafka(iter(lambda: BUSY, None)), 0.1)


async def test_a_replay_waits_for_a_busy_kafka() -> None:
    assert await watched(Kafka(iter([BUSY, {"busy.rating.rate_usages": 4}, BUSY, {"busy.rating.rate_usages": 0}]))) == [6, CALLS]


async def test_a_replay_names_the_kafka_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "STANDSTILL_MAX_S", 0.1)
    with pytest.raises(replay.RatingStandsStill, match="GroupCoordinatorNotAvailable"):
        await watched(Kafka(iter(lambda: BUSY, None)))
