"""One question in flight at a time, shared by all who ask it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Shared(Generic[T]):
    """Runs a coroutine function once for all who ask meanwhile, and never cancels it: whoever has no more time stops waiting."""

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._running: asyncio.Task[T] | None = None

    async def answer(self, within_s: float) -> T:
        """Return the answer of the run in flight, or of a new one. Raises TimeoutError when it takes longer."""
        running = self._running
        if running is None or running.done():
            running = self._running = asyncio.create_task(self._run())
            running.add_done_callback(_retrieve)
        await asyncio.wait([running], timeout=within_s)
        if not running.done():
            raise TimeoutError(f"no answer within {within_s:g} s")
        return running.result()

    async def _run(self) -> T:
        return await self._ask()


def _retrieve(ended: asyncio.Task[T]) -> None:
    # Where nobody waits any more, asyncio would report an error that nobody looked at.
    if not ended.cancelled():
        ended.exception()
