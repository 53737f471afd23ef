"""A mend of PyMongo's wait for a topology change, which loses its lock on Python 3.11 when it is cancelled.

PyMongo 4.x waits by `asyncio.wait_for(condition.wait(), …)`. Before Python 3.12 `wait_for` runs the wait in a task of its own. A
cancellation that comes while that task takes the lock back leaves the task behind: it takes the lock, and nobody releases it.
Every later operation of the client then waits for ever. docs/decisions/08-never-cancel-the-driver.md has the reproduction.
Remove this module together with Python 3.11.
"""

import asyncio
import sys
from typing import Any

from pymongo.asynchronous import pool, topology

_WAIT = "_async_cond_wait"


async def wait_in_this_task(condition: Any, timeout: float | None) -> bool:
    """Wait for a condition within the caller's own task. Returns False when the time is over. The lock is held again in any case."""
    try:
        async with asyncio.timeout(timeout):
            return await condition.wait()
    except TimeoutError:
        return False


def mend_driver_wait() -> None:
    """Let the driver wait within the task that holds its lock. Does nothing from Python 3.12 on."""
    if sys.version_info >= (3, 12):
        return
    for module in (topology, pool):
        # A driver that is built otherwise has to be looked at again, not mended blindly.
        assert hasattr(module, _WAIT), f"PyMongo's {module.__name__} has no {_WAIT} any more: see libs/runtime/lifetime/driver_wait.py"
        setattr(module, _WAIT, wait_in_this_task)
