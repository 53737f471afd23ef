"""Fixtures of tests of one service."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from tests.rating_world import RatingWorld
from tests.world import build_service


@pytest.fixture
def rate_books_dir() -> Path:
    """The rate books that ship; a test module may bring its own."""
    return Path("deploy/rate-books")


@pytest.fixture
async def rating(settings: RuntimeSettings, rate_books_dir: Path) -> AsyncIterator[RatingWorld]:
    """The rating service, alone, in a namespace of its own."""
    async with build_service("rating", settings, rate_books_dir=rate_books_dir).running() as service, lag_reader(settings) as lag:
        yield RatingWorld(settings, service, lag)
