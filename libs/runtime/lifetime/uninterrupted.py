"""Calls that run to their end, so that no cancellation reaches the MongoDB driver in the middle of its work."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(call: Coroutine[Any, Any, T]) -> T:
    """Run a call to its end. A cancellation of the caller is raised once the call has ended.

    The time limits of the call itself bound the wait, such as `serverSelectionTimeoutMS` of the driver.
    """
    running = asyncio.create_task(call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError:
                # Cancelled once more: the call still has to end first.
                continue
        if not running.cancelled():
            # Retrieved, or asyncio reports it as an exception that nobody looked at.
            running.exception()
        raise
