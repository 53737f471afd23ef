"""Topics, created from the contracts: one per fact class, never by accident of a first message."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from libs.contracts import all_facts
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from libs.runtime.settings import RuntimeSettings


async def create_topics(settings: RuntimeSettings, *, replication_factor: int = 1) -> list[str]:
    """Create every missing topic; returns the names it created. Raises KafkaError for anything but «exists»."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [
            NewTopic(
                settings.topic(fact.topic),
                fact.partitions,
                replication_factor,
                topic_configs={"max.message.bytes": str(MESSAGE_BYTES_MAX)},
            )
            for fact in all_facts()
            if settings.topic(fact.topic) not in existing
        ]
        if not missing:
            return []
        response = await admin.create_topics(missing)
        for topic, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {topic}")
        return [topic.name for topic in missing]
    finally:
        await admin.close()
