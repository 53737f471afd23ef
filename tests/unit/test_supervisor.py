"""The supervisor's pauses, and what it tells of a service that ended."""

from pathlib import Path

import pytest

from libs.devstack.supervisor import PAUSE_MAX_S, STEADY_AFTER_S, Backoff, last_words


def test_a_service_that_ends_again_and_again_waits_longer_each_time_up_to_a_minute() -> None:
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    assert backoff.is_due("rating")
    pauses = []
    for _ in range(9):
        backoff.started("rating")
        began = now[0]
        while not backoff.is_due("rating"):
            now[0] += 1
        pauses.append(now[0] - began)
    assert pauses == [1, 2, 4, 8, 16, 32, PAUSE_MAX_S, PAUSE_MAX_S, PAUSE_MAX_S]
    assert backoff.is_due("ledger"), "each service has pauses of its own"


def test_a_service_that_ran_steadily_starts_again_at_once() -> None:
    now = [0.0]
    backoff = Backoff(lambda: now[0])
    for _ in range(7):
        backoff.started("rating")
    now[0] += STEADY_AFTER_S
    assert backoff.is_due("rating")
    backoff.started("rating")
    assert not backoff.is_due("rating")
    now[0] += 1
    assert not backoff.is_due("rating")
    now[0] += 1
    assert backoff.is_due("rating")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["started", "process ends itself, to be started again reason=lost", "service stopped"], "process ends itself"),
        (["started", "TooFewDescriptors: rating needs 400 file descriptors and may have 64: raise it"], "needs 400 file descriptors"),
        (["service started", "published"], "killed or out of memory; its log ends with: published"),
        ([], "nothing"),
        (None, "it left no log"),
    ],
)
def test_the_last_words_of_a_service_say_why_it_ended(tmp_path: Path, lines: list[str] | None, told: str) -> None:
    log = tmp_path / "rating.log"
    if lines is not None:
        log.write_text("\n".join(lines))
    assert told in last_words(log)
