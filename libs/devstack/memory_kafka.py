"""A last resort where there is neither Java nor Docker: librdkafka's test cluster in a helper process.

It speaks Kafka's protocol and lasts as long as its process. It keeps about 5 MB per partition and silently drops older
messages, so nothing that counts may run on it.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

from libs.devstack.kafka import kafka_fault
from libs.devstack.program import Program
from libs.devstack.settings import PROJECT_ROOT

MEMORY_KAFKA_EXTRA = "memory-kafka"


def memory_kafka_is_installed() -> bool:
    """Whether the optional dependency is there."""
    return find_spec("confluent_kafka") is not None


def memory_kafka(directory: Path, *, log: Path, detached: bool = False) -> Program:
    """The stand-in, ready to start. It chooses its own port, so its address is known once it is ready."""
    directory.mkdir(parents=True, exist_ok=True)
    address = directory / "memory_kafka_address"

    async def ready() -> str | None:
        if not address.exists():
            return "it has no address yet"
        program.address = address.read_text()
        return await kafka_fault(program.address)

    program = Program(
        "Kafka",
        [sys.executable, "-m", "libs.devstack.memory_cluster", str(address)],
        address="",
        origin="WARNING: an in-memory stand-in for Kafka; nothing on it survives a restart, and old messages are dropped",
        log=log,
        ready=ready,
        directory=PROJECT_ROOT,
        detached=detached,
    )
    return program
