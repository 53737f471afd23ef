"""Publishing on real Kafka: what was refused once spoils nothing that comes after."""

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from libs.runtime import RuntimeSettings
from libs.runtime.publisher import FactPublisher

ACCEPTED_BYTES_MAX = 1_000
KEY = b"ada"


async def test_a_message_that_kafka_refuses_does_not_spoil_those_after_it(settings: RuntimeSettings) -> None:
    narrow = settings.topic("narrow")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(narrow, 1, 1, topic_configs={"max.message.bytes": str(ACCEPTED_BYTES_MAX)})])
    publisher = FactPublisher("test", settings)
    await publisher.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await publisher.publish_raw(narrow, KEY, b"x" * 2 * ACCEPTED_BYTES_MAX)
        await publisher.publish_raw(narrow, KEY, b"after")
        await publisher.publish_all_raw(narrow, [(KEY, b"and after that")])
    finally:
        await publisher.stop()
        await admin.delete_topics([narrow])
        await admin.close()


async def test_publishing_before_the_start_fails_as_if_kafka_were_away(settings: RuntimeSettings) -> None:
    with pytest.raises(KafkaError):
        await FactPublisher("test", settings).publish_raw(settings.topic("narrow"), KEY, b"too early")
