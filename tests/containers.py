"""Kafka and MongoDB in containers of the test session's own, where a Docker engine answers.

Both listen on the same port inside and outside, because both tell their clients where they are.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from testcontainers.core.container import DockerContainer

from libs.devstack import free_port
from libs.devstack.kafka import kafka_fault
from libs.devstack.mongod import REPLICA_SET, become_primary

KAFKA_IMAGE = "apache/kafka:4.3.1"
MONGODB_IMAGE = "mongo:8"
# Only inside its container, so it collides with nothing; below the range that free_port chooses from.
CONTROLLER_PORT = 9093
READY_TIMEOUT_S = 90.0
POLL_S = 0.2


@asynccontextmanager
async def containers() -> AsyncIterator[dict[str, str]]:
    """Where Kafka and MongoDB answer. Raises whatever keeps Docker from running them, or TimeoutError."""
    kafka_port, mongodb_port = free_port(), free_port()
    kafka, mongodb = _kafka(kafka_port), _mongodb(mongodb_port)
    bootstrap_servers = f"127.0.0.1:{kafka_port}"
    with await asyncio.to_thread(kafka.start), await asyncio.to_thread(mongodb.start):
        async with asyncio.timeout(READY_TIMEOUT_S):
            await _until_none(lambda: kafka_fault(bootstrap_servers))
            await _until_none(lambda: become_primary(mongodb_port))
        yield {
            "kafka_bootstrap_servers": bootstrap_servers,
            "mongodb_url": f"mongodb://127.0.0.1:{mongodb_port}/?replicaSet={REPLICA_SET}",
        }


def _kafka(port: int) -> DockerContainer:
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports(port, port)
    settings = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:{CONTROLLER_PORT}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@localhost:{CONTROLLER_PORT}",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "8",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_SHARE_COORDINATOR_STATE_TOPIC_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    for name, value in settings.items():
        container = container.with_env(name, value)
    return container


def _mongodb(port: int) -> DockerContainer:
    command = f"--replSet {REPLICA_SET} --bind_ip_all --port {port} --wiredTigerCacheSizeGB 1"
    return DockerContainer(MONGODB_IMAGE).with_bind_ports(port, port).with_command(command)


async def _until_none(fault: Callable[[], Awaitable[str | None]]) -> None:
    while await fault() is not None:
        await asyncio.sleep(POLL_S)
