"""Topics, created from the contracts: one per fact class, never by accident of a first message.

Each has an explicit retention, and one that is configured otherwise is altered.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from libs.contracts import Fact, all_facts
from libs.contracts.retention import Retention, retention_of
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from libs.runtime.settings import RuntimeSettings

FOR_EVER = "-1"
# Long enough to look at what went wrong; those who asked are gone after seconds.
TRANSIENT_RETENTION_DAYS = 1


async def create_topics(settings: RuntimeSettings, *, replication_factor: int = 1) -> list[str]:
    """Create every missing topic; returns the names it created. Raises KafkaError for anything but «exists»."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [
            NewTopic(settings.topic(fact.topic), fact.partitions, replication_factor, topic_configs=topic_config(fact, settings))
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


async def alter_topics(settings: RuntimeSettings) -> list[str]:
    """Give every topic that is configured otherwise its configuration; returns the names of those. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap_servers)
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        wanted = {settings.topic(fact.topic): topic_config(fact, settings) for fact in all_facts()}
        found = await _configs(admin, [name for name in wanted if name in existing])
        differing = {name: wanted[name] for name, config in found.items() if not wanted[name].items() <= config.items()}
        if differing:
            await _alter(admin, differing)
        return sorted(differing)
    finally:
        await admin.close()


def topic_config(fact: type[Fact], settings: RuntimeSettings) -> dict[str, str]:
    """The configuration of a fact's topic."""
    facts_ms = _milliseconds(settings.topic_fact_retention_days)
    config = {
        Retention.TRANSIENT: {"cleanup.policy": "delete", "retention.ms": _milliseconds(TRANSIENT_RETENTION_DAYS)},
        Retention.USAGE: {"cleanup.policy": "delete", "retention.ms": _milliseconds(settings.topic_usage_retention_days)},
        Retention.FACT: {"cleanup.policy": "delete", "retention.ms": facts_ms},
        # All revisions stay as long as other facts do, because a restored service adopts one after the other.
        Retention.STATE: {"cleanup.policy": "compact", "retention.ms": FOR_EVER, "min.compaction.lag.ms": facts_ms},
        Retention.WHOLE: {"cleanup.policy": "delete", "retention.ms": FOR_EVER},
    }[retention_of(fact)]
    return {"max.message.bytes": str(MESSAGE_BYTES_MAX), **config}


async def _configs(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, message, _, name, entries in response.resources:
            _raise_fault(code, f"topic {name}: {message}")
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found


async def _alter(admin: AIOKafkaAdminClient, configs: Mapping[str, Mapping[str, str]]) -> None:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(config)) for name, config in configs.items()]
    responses: list[Any] = await admin.alter_configs(resources)
    for response in responses:
        for code, message, _, name in response.resources:
            _raise_fault(code, f"topic {name}: {message}")


def _raise_fault(code: int, told: str) -> None:
    if code:
        raise for_code(code)(told)


def _milliseconds(days: int) -> str:
    return str(int(timedelta(days=days).total_seconds() * 1000))
