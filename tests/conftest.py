"""Fixtures that every folder of tests may use. Real Kafka and MongoDB come from the same resolver as `tarifa up`."""

import os
import uuid
from collections.abc import AsyncIterator

import pytest

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect
from libs.runtime.topics import create_topics


@pytest.fixture(scope="session")
def infrastructure() -> dict[str, str]:
    """Where Kafka and MongoDB answer."""
    return {"kafka_bootstrap_servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"], "mongodb_url": os.environ["MONGODB_URL"]}


@pytest.fixture
async def settings(infrastructure: dict[str, str]) -> AsyncIterator[RuntimeSettings]:
    """Settings of a namespace of its own: fresh topics and databases, dropped afterwards."""
    fresh = RuntimeSettings(**infrastructure, namespace=f"t{uuid.uuid4().hex[:12]}")
    await create_topics(fresh)
    yield fresh
    client = connect(fresh)
    for name in await client.list_database_names():
        if name.startswith(f"{fresh.namespace}_"):
            await client.drop_database(name)
    await client.close()
