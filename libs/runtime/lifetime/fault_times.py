"""Since when each fault of a service lasts."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime


def _now() -> datetime:
    return datetime.now(UTC)


class FaultTimes:
    """Remembers when each fault was first seen, until it is gone."""

    def __init__(self, clock: Callable[[], datetime] = _now) -> None:
        self._clock = clock
        self._since: dict[str, datetime] = {}

    def told(self, faults: Mapping[str, str]) -> dict[str, str]:
        """Return the faults by name, each with the time since when it lasts."""
        now = self._clock()
        self._since = {name: self._since.get(name, now) for name in faults}
        return {name: f"{fault} ({self._lasting(name, now)})" for name, fault in faults.items()}

    def _lasting(self, name: str, now: datetime) -> str:
        since = self._since[name]
        return f"since {since:%H:%M:%S} UTC, {int((now - since).total_seconds())} s"
