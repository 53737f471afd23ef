"""The supervisor of `tarifa up`: a small process that starts services again when they end without being told to.

It knows the stack by its state alone. `tarifa up` replaces it, so that it has the newest environment, and `tarifa down` stops it first.
Each restart is written into the state with its reason. `python -m libs.devstack.supervisor` runs it.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from libs.devstack.errors import StackError
from libs.devstack.program import ProcessIdentity, Program
from libs.devstack.settings import SERVICES, StackSettings, port_variable
from libs.devstack.stack import Stack, running_settings
from libs.devstack.state import StackState, stack_lock

LOOK_EVERY_S = 1.0
PAUSE_FIRST_S = 1.0
PAUSE_MAX_S = 60.0
# Whoever ran for so long starts again at once.
STEADY_AFTER_S = 300.0
# `tarifa up` names it right after it has started it.
NAMED_WITHIN_S = 10.0
LOG_TAIL_BYTES = 16_384
# What a process says that ends itself; else its last line has to do.
LAST_WORDS = ("process ends itself", "process did not stop in time", "needs ")

logger = structlog.get_logger(__name__)


class Backoff:
    """When a service may be started again: at once, then after pauses that double up to a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: dict[str, int] = {}
        self._started_at: dict[str, float] = {}

    def is_due(self, name: str) -> bool:
        """Return whether the service may be started now."""
        if name not in self._started_at:
            return True
        ran_s = self._clock() - self._started_at[name]
        if ran_s >= STEADY_AFTER_S:
            self._tries[name] = 0
        return ran_s >= min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** self._tries[name])

    def started(self, name: str) -> None:
        """A service was started, or it was tried."""
        self._tries[name] = self._tries.get(name, -1) + 1
        self._started_at[name] = self._clock()


class Supervisor:
    """Starts the services of one stack again, until another supervisor or nobody is named in its state."""

    def __init__(self, settings: StackSettings, me: ProcessIdentity) -> None:
        self._settings = settings
        self._me = me
        self._backoff = Backoff()
        # Held, so that they are reaped when they end.
        self._programs: dict[str, Program] = {}

    async def run(self) -> None:
        """Look once a second."""
        deadline = time.monotonic() + NAMED_WITHIN_S
        while not self._is_named() and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_EVERY_S)
        while self._is_named():
            try:
                for name in self._ended():
                    if self._backoff.is_due(name):
                        await self._start_again(name)
            except OSError as error:
                # A full disk or no memory: whatever it is, the next look may find it gone.
                logger.warning("services not looked at, will be tried again", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    def _is_named(self) -> bool:
        try:
            named = StackState.load(self._settings.home).supervisor
        except (StackError, OSError) as error:
            logger.warning("the stack's state cannot be read, will be tried again", reason=str(error))
            return True
        return named is not None and named.pid == self._me.pid

    def _ended(self) -> list[str]:
        try:
            members = StackState.load(self._settings.home).members
        except StackError:
            return []
        return [name for name in SERVICES if name in members and members[name].process is not None and not members[name].is_alive]

    async def _start_again(self, name: str) -> None:
        self._backoff.started(name)
        try:
            with stack_lock(self._settings.home):
                stack = Stack(self._settings, logger.info)
                member = stack.state.members.get(name)
                if member is None or member.is_alive or not self._is_named():
                    return
                reason = last_words(member.log)
                logger.warning("service ended, starts again", service=name, reason=reason)
                stack.settings = self._settings.model_copy(update={port_variable(name).lower(): urlsplit(member.address).port})
                self._programs[name] = await stack.start_again(name, running_settings(self._settings), reason)
        except StackError as error:
            logger.warning("service not started again, will be tried later", service=name, reason=str(error))


def last_words(log: Path | None) -> str:
    """What a service said last: why it ended itself, when it told that."""
    if log is None or not log.exists():
        return "it left no log"
    with log.open("rb") as source:
        source.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        lines = [line.strip() for line in source.read().decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines[-20:] if any(words in line for words in LAST_WORDS) or _ends_a_traceback(line)]
    if telling:
        return f"it said: {telling[-1]}"
    return f"it did not say why, as when it is killed or out of memory; its log ends with: {(lines or ['nothing'])[-1]}"


def _ends_a_traceback(line: str) -> bool:
    """Whether a line names an exception, as the last one of a traceback does; a log entry begins with its time."""
    name, _, _ = line.partition(":")
    return name.isascii() and name.replace(".", "").isidentifier() and name.endswith("Error")


if __name__ == "__main__":
    asyncio.run(Supervisor(StackSettings(), ProcessIdentity.of(os.getpid())).run())
