"""Fixtures of tests of one service."""

from collections.abc import AsyncIterator

import pytest

from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from tests.rating_world import RatingWorld
from tests.world import build_service


@pytest.fixture
async def rating(settings: RuntimeSettings) -> AsyncIterator[RatingWorld]:
    """The rating service, alone, in a namespace of its own."""
    async with build_service("rating", settings).running() as service, lag_reader(settings) as lag:
        yield RatingWorld(settings, service, lag)
