"""A namespace for one test or module: topics and databases that nobody else has, gone afterwards."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka.admin import AIOKafkaAdminClient

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect
from libs.runtime.topics import create_topics


@asynccontextmanager
async def fresh_namespace(infrastructure: Mapping[str, str]) -> AsyncIterator[RuntimeSettings]:
    """Settings of a namespace whose topics exist."""
    settings = RuntimeSettings(**infrastructure, namespace=f"t{uuid.uuid4().hex[:12]}")
    topics = await create_topics(settings)
    yield settings
    client = connect(settings)
    for name in await client.list_database_names():
        if name.startswith(f"{settings.namespace}_"):
            await client.drop_database(name)
    await client.close()
    # Every partition left behind costs the broker files and memory until the session ends.
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.delete_topics(topics)
    await admin.close()
