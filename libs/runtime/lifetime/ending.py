"""The end of a process: by its own will with a reason, and within a limit whatever hangs."""

import os
import signal
import threading
from collections.abc import Callable

import structlog
import uvicorn

# Less than the 30 s after which Kubernetes, Docker compose and `tarifa down` kill.
STOP_LIMIT_S = 25.0
# EX_SOFTWARE of sysexits.h: a supervisor starts the process again.
EXIT_STUCK = 70

logger = structlog.get_logger(__name__)


class EndingServer(uvicorn.Server):
    """uvicorn's server. From the first signal to stop, the process has a limit of time to end."""

    def handle_exit(self, sig: int, frame: object) -> None:
        """Begin to stop, and let a thread end the process when the stop takes too long."""
        end_within(STOP_LIMIT_S)
        super().handle_exit(sig, frame)  # type: ignore[arg-type]


def end_within(limit_s: float, end: Callable[[int], None] = os._exit) -> threading.Timer:
    """End the process after a time, unless it has ended by then. The thread needs no event loop, which may be what hangs."""

    def end_now() -> None:
        logger.critical("process did not stop in time, ends now", limit_s=limit_s)
        end(EXIT_STUCK)

    timer = threading.Timer(limit_s, end_now)
    timer.daemon = True
    timer.start()
    return timer


class ProcessEnd:
    """The reason for which a process ends itself, None while it has none."""

    def __init__(self) -> None:
        self.reason: str | None = None

    def ask(self, reason: str) -> None:
        """Stop this process as SIGTERM would, and let it end with a failure so that it is started again. The first reason counts."""
        if self.reason is not None:
            return
        logger.critical("process ends itself, to be started again", reason=reason)
        self.reason = reason
        os.kill(os.getpid(), signal.SIGTERM)
