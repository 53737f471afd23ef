"""One live stack for the whole folder, on a Kafka and a MongoDB of its own: here, these die as well.

Every test has customers of its own, so that what it leaves behind is only more for the next audit to go through.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from libs.devstack import Infrastructure
from tests.faults.live_stack import LiveStack, open_live_stack


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Leave the machine to whoever kills or hangs the live stack, which is as well started only once."""
    for item in items:
        if "live" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.alone)


@pytest.fixture(scope="session")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveStack]:
    """Seven services as processes, with the servers that they need."""
    directory: Path = tmp_path_factory.mktemp("live-stack")
    infrastructure = await Infrastructure.private(directory / "infrastructure")
    try:
        await infrastructure.start()
        async with open_live_stack(infrastructure, directory) as stack:
            yield stack
    finally:
        await infrastructure.stop()
