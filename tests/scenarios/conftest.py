"""One world per module: stories share it and meet only through customers of their own."""

from collections.abc import AsyncIterator

import pytest

from tests.world import World, open_world


@pytest.fixture(scope="module")
async def world(infrastructure: dict[str, str]) -> AsyncIterator[World]:
    """All services in this process."""
    async with open_world(infrastructure) as opened:
        yield opened
