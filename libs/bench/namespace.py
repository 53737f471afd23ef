"""What a bench leaves behind it: nothing. Its topics and databases are its own, and go when it ends."""

from collections.abc import Iterable

from aiokafka.admin import AIOKafkaAdminClient
from pymongo import AsyncMongoClient

from libs.contracts import all_facts
from libs.runtime import RuntimeSettings


async def drop_namespace(settings: RuntimeSettings, client: AsyncMongoClient, services: Iterable[str]) -> None:
    """Drop the databases of these services and all topics, and close the client."""
    for service in services:
        await client.drop_database(settings.database(service))
    await client.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([settings.topic(fact.topic) for fact in all_facts()])
    finally:
        await admin.close()
