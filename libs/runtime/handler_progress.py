"""How a handler gets on: what it handled last, and what it hangs on since when. Kept in memory by its subscription."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

# One failure is ordinary; of the second a person should hear.
HANGS_FROM_FAILURES = 2
# A batch in hand for longer is no batch at work.
BUSY_TOO_LONG_S = 60.0


@dataclass(frozen=True)
class Hang:
    """What a handler hangs on: the first message of what it tried last, how many messages that was, and the last error."""

    since: datetime
    retries: int
    error: str
    topic: str
    partition: int
    offset: int
    count: int

    def told(self) -> str:
        """Return the hang in a sentence with what to do."""
        where = f"{self.topic} partition {self.partition} offset {self.offset}"
        what = where if self.count == 1 else f"{self.count} messages from {where} on"
        skip = "" if self.count > 1 else "; if only this message fails, see `tarifa skip --help`"
        return f"hangs on {what} since {self.since:%Y-%m-%d %H:%M:%S} UTC, {self.retries} retries, last error: {self.error}{skip}"


@dataclass(frozen=True)
class LastError:
    """The last error of a handler and where it happened."""

    at: datetime
    error: str
    topic: str
    partition: int


@dataclass
class HandlerProgress:
    """Progress by topic and partition, the last error, and the hang while there is one."""

    handled: dict[tuple[str, int], tuple[datetime, int]] = field(default_factory=dict)
    last_error: LastError | None = None
    hang: Hang | None = None
    tried_count: int = 0
    _tried: Any = None
    _busy_since: datetime | None = None

    def began(self, records: Sequence[Any]) -> None:
        """Note that a batch is in hand."""
        self._busy_since = datetime.now(UTC)
        self.tries(records)

    def tries(self, records: Sequence[Any]) -> None:
        """Note which part of the batch is handled next."""
        self._tried, self.tried_count = (records[0] if records else None), len(records)

    def succeeded(self, records: Sequence[Any]) -> None:
        """Note that a batch was handled."""
        now = datetime.now(UTC)
        for record in records:
            self.handled[record.topic, record.partition] = (now, record.offset)
        self.hang = self._busy_since = None

    def failed(self, error: str) -> None:
        """Note an error that the batch comes again for."""
        now, first = datetime.now(UTC), self._tried
        self._busy_since = None
        if first is None:
            return
        self.last_error = LastError(now, error, first.topic, first.partition)
        place = {"topic": first.topic, "partition": first.partition, "offset": first.offset, "count": self.tried_count}
        if self.hang is None:
            self.hang = Hang(since=now, retries=1, error=error, **place)
        else:
            self.hang = replace(self.hang, retries=self.hang.retries + 1, error=error, **place)

    def by_partition(self) -> dict[tuple[str, int], dict[str, Any]]:
        """Return by topic and partition what is known: last progress, last error, and the hang with its retries."""
        told: dict[tuple[str, int], dict[str, Any]] = {
            place: {"handled_at": at, "handled_offset": offset} for place, (at, offset) in self.handled.items()
        }
        error, hang = self.last_error, self.hang
        if error is not None:
            told.setdefault((error.topic, error.partition), {}).update(error=error.error, error_at=error.at)
        for place, about in told.items():
            hangs = hang is not None and (hang.topic, hang.partition) == place
            about.update(hangs_since=hang.since if hang and hangs else None, retries=hang.retries if hang and hangs else 0)
        return told

    def warning(self) -> str | None:
        """Return what a person should know of the handler now, or None."""
        if self.hang is not None and self.hang.retries >= HANGS_FROM_FAILURES:
            return self.hang.told()
        if self._busy_since is not None and (datetime.now(UTC) - self._busy_since).total_seconds() > BUSY_TOO_LONG_S:
            first = self._tried
            where = f" {self.tried_count} messages from {first.topic} partition {first.partition} offset {first.offset} on" if first else ""
            return f"has been handling{where} since {self._busy_since:%Y-%m-%d %H:%M:%S} UTC without an end"
        return None
