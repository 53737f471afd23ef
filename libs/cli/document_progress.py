"""A progress bar over documents, on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class DocumentProgress:
    """One bar after the other."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def begin(self, what: str, total: int) -> None:
        """Show a new bar."""
        self._task = self._bars.add_task(what, total=total)

    def advance(self, count: int) -> None:
        """Move the bar."""
        assert self._task is not None, "a bar begins before it advances"
        self._bars.advance(self._task, count)


@contextmanager
def document_progress() -> Iterator[DocumentProgress]:
    """Bars until the end of the block."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, highlight=False)) as bars:
        yield DocumentProgress(bars)
