"""What `tarifa up` started, remembered in `.tarifa/state.json` so that a later command finds it, and `down` stops only that."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from libs.devstack.errors import StackError
from libs.devstack.program import ProcessIdentity

STATE_FILE = "state.json"


class Started(BaseModel):
    """One member of the stack. Without `process` it is Docker's or somebody else's."""

    name: str
    origin: str
    address: str
    log: Path | None = None
    process: ProcessIdentity | None = None
    compose_service: str | None = None
    configuration: str = Field("", description="Digest of the environment it was given: another one means starting it again")
    restarts: int = Field(0, description="How often the supervisor started it again since `tarifa up` did")
    restarted_at: datetime | None = None
    ended_because: str | None = Field(None, description="Why it ended the last time, as far as it told")

    @property
    def is_alive(self) -> bool:
        """Whether the process that was started still runs; for Docker and others, whether they were used at all."""
        return self.process is None or self.process.find() is not None


class StackState(BaseModel):
    """The whole stack by name: kafka, mongodb and the services."""

    namespace: str = ""
    supervisor: ProcessIdentity | None = None
    members: dict[str, Started] = Field(default_factory=dict)

    @classmethod
    def load(cls, home: Path) -> "StackState":
        """What is remembered below `home`; empty when nothing is. Raises StackError when it cannot be read."""
        file = home / STATE_FILE
        if not file.exists():
            return cls()
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise StackError(f"{file} is not what `tarifa up` wrote", "stop the stack's processes by hand, then remove it") from error

    def save(self, home: Path) -> None:
        """Replace what is remembered, in one step. Only its owner may read it: a MongoDB URL may hold a password."""
        home.mkdir(parents=True, exist_ok=True)
        incoming = home / f"{STATE_FILE}.{os.getpid()}"
        incoming.touch(mode=0o600)
        incoming.write_text(self.model_dump_json(indent=2))
        incoming.replace(home / STATE_FILE)


@contextmanager
def stack_lock(home: Path) -> Iterator[None]:
    """Held while the stack changes. Raises StackError when another command is changing it."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another tarifa command is starting or stopping the stack in {home}", "wait until it is done") from None
        yield
