"""The course of an audit: a bar for the step that runs, and a file with the steps that are done."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from libs.audit import Findings
from libs.audit.auditor import Subject

REFRESH_S = 0.2


class AuditCourse:
    """Shows the steps of an audit and keeps what they found, for `--resume`. `of` tells which system is audited."""

    def __init__(self, console: Console, file: Path, of: str, *, resume: bool) -> None:
        self._file = file
        self._of = of
        self._finished: dict[str, Any] = self._load() if resume else {}
        self._bar = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._running: tuple[TaskID, Subject, Findings] | None = None

    async def follow(self) -> None:
        """Move the bar by what is checked, until cancelled."""
        with self._bar:
            while True:
                self._move()
                await asyncio.sleep(REFRESH_S)

    def finished(self, subject: str) -> Findings | None:
        """Return what a step found in the audit that is resumed."""
        stored = self._finished.get(subject)
        return None if stored is None else Findings.from_json(stored)

    def begin(self, subject: Subject, expected_count: int, findings: Findings) -> None:
        """Show a bar for a step."""
        self._running = (self._bar.add_task(subject.name, total=max(expected_count, 1)), subject, findings)

    def finish(self, subject: Subject, findings: Findings) -> None:
        """Fill the bar, and keep what was found."""
        self._move(is_done=True)
        self._running = None
        self._finished[subject.name] = findings.as_json()
        self._save()

    def forget(self) -> None:
        """Remove the file: the audit has come to its end."""
        self._file.unlink(missing_ok=True)

    def _move(self, *, is_done: bool = False) -> None:
        if self._running is None:
            return
        task, subject, findings = self._running
        checked = findings.checked[subject.checked]
        # What is expected is an estimate: a step is done with what it has checked.
        if is_done:
            self._bar.update(task, total=max(checked, 1))
        self._bar.update(task, completed=max(checked, 1))

    def _load(self) -> dict[str, Any]:
        if not self._file.exists():
            return {}
        stored = json.loads(self._file.read_bytes())
        return stored["steps"] if stored["of"] == self._of else {}

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        incoming = self._file.with_suffix(".incoming")
        incoming.touch(mode=0o600)
        incoming.write_text(json.dumps({"of": self._of, "at": datetime.now(UTC).isoformat(), "steps": self._finished}))
        incoming.replace(self._file)
