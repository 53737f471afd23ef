"""A long-running program: its command, its log, and how to tell that it is ready.

Kafka, mongod and the services are all Programs. Each is known by pid and start time, so that another process that got
the same pid later is never signalled.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel

from libs.devstack.errors import StackError
from libs.devstack.ports import PortUse, require_free

POLL_S = 0.05
# Seven services that start at once on a busy two-core machine take most of a minute.
READY_TIMEOUT_S = 120.0
TERMINATE_TIMEOUT_S = 30.0
# The kernel counts start times in ticks since boot; a clock that is stepped moves them a little.
START_TIME_TOLERANCE_S = 1.0
LOG_BYTES_MAX = 20 * 1024 * 1024
LOG_TAIL_LINES = 12

ReadyProbe = Callable[[], Awaitable[str | None]]


class ProcessIdentity(BaseModel):
    """Which process it is: a pid alone can be somebody else's by now."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity":
        """The identity of a process that runs now. Raises psutil.NoSuchProcess."""
        return cls(pid=pid, started_at=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, unless it has ended."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_at) > START_TIME_TOLERANCE_S or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return process

    async def end(self, number: signal.Signals, timeout_s: float) -> bool:
        """Signal it and wait; True once it is gone."""
        process = self.find()
        if process is None:
            return True
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return True
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.find() is None:
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def terminate(self, timeout_s: float) -> None:
        """Ask it to finish what it has in hand and end; kill it when it does not."""
        if not await self.end(signal.SIGTERM, timeout_s):
            await self.end(signal.SIGKILL, timeout_s)


class Program:
    """Start, wait, terminate, kill and start again; data is whatever the program keeps in its own directory.

    `address` is what its clients connect to, `origin` says what it is in words for people. `ready` returns None when
    the program does its work, else what is missing. A detached program survives the process that started it; any
    other ends with it, however that ends.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        address: str,
        origin: str,
        log: Path,
        ready: ReadyProbe,
        ports: Sequence[PortUse] = (),
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        detached: bool = False,
        identity: ProcessIdentity | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.origin = origin
        self.log = log
        self.identity = identity
        self._command = list(command)
        self._ready = ready
        self._ports = ports
        self.environment = dict(environment or {})
        self._directory = directory
        self._detached = detached
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def is_alive(self) -> bool:
        """Whether its process runs, ready or not."""
        return self.identity is not None and self.identity.find() is not None

    @property
    def pid(self) -> int | None:
        """Its process number while it runs."""
        return self.identity.pid if self.identity is not None and self.is_alive else None

    async def start(self, ready_timeout_s: float = READY_TIMEOUT_S) -> None:
        """Launch unless it runs already, and wait until it is ready. Raises StackError."""
        if not self.is_alive:
            self.launch()
        await self.wait_ready(ready_timeout_s)

    def launch(self) -> None:
        """Launch without waiting. Raises StackError when a port is taken or the program is not there."""
        for port in self._ports:
            require_free(port)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_BYTES_MAX:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as output:
            try:
                self._child = subprocess.Popen(
                    [*self._ends_with_us(), *self._command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **self.environment},
                    cwd=self._directory,
                    start_new_session=True,
                )
            except OSError as error:
                raise StackError(f"{self.name} cannot be started: {error}", "install it again") from error
        self.identity = ProcessIdentity.of(self._child.pid)

    async def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once it is ready. Raises StackError when it ends before, or takes too long."""
        deadline = time.monotonic() + timeout_s
        missing: str | None = "it was not started"
        while time.monotonic() < deadline:
            if not self.is_alive:
                raise StackError(f"{self.name} ended while starting: {self._last_words()}", f"see {self.log}")
            missing = await self._ready()
            if missing is None:
                return
            await asyncio.sleep(POLL_S)
        raise StackError(f"{self.name} is not ready after {timeout_s:g} s: {missing}", f"see {self.log}")

    async def missing(self) -> str | None:
        """What keeps it from working now; None when it is ready."""
        if not self.is_alive:
            return "not running"
        return await self._ready()

    async def terminate(self, timeout_s: float = TERMINATE_TIMEOUT_S) -> None:
        """Ask it to finish what it has in hand and end; kill it when it does not."""
        if self.identity is not None:
            await self.identity.terminate(timeout_s)
        await self._reap()

    async def stop(self) -> None:
        """Terminate: the word that everything in the stack has."""
        await self.terminate()

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if self.identity is not None:
            await self.identity.end(signal.SIGKILL, TERMINATE_TIMEOUT_S)
        await self._reap()

    async def restart(self) -> None:
        """Terminate and start again, on the same ports and data."""
        await self.terminate()
        await self.start()

    async def _reap(self) -> None:
        # A zombie may have threads that still end: only after the wait are its ports free.
        if self._child is not None and not self.is_alive:
            await asyncio.to_thread(self._child.wait)
            self._child = None

    def _ends_with_us(self) -> list[str]:
        """The prefix that makes the kernel end the program when we do: a killed test run leaves no Kafka behind."""
        setpriv = shutil.which("setpriv")
        return [] if self._detached or setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        told = [line.strip() for line in lines[-LOG_TAIL_LINES:] if line.strip()]
        return told[-1] if told else "it said nothing"
