"""Kafka and MongoDB, each from the first place that has one.

1. KAFKA_BOOTSTRAP_SERVERS / MONGODB_URL: there already, and not ours to stop
2. native: Apache Kafka on Java 17+; the mongod on the PATH, else the one of the PyPI wheel
3. Docker compose, when an engine answers
4. Kafka only, and only when asked for: an in-memory stand-in
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from libs.devstack.compose import ComposeService, docker_compose_answers
from libs.devstack.errors import StackError
from libs.devstack.java import INSTALL_JAVA, JAVA_MAJOR_MIN, find_java
from libs.devstack.kafka import kafka_fault, native_kafka
from libs.devstack.libcurl import INSTALL_LIBRARY, LIBRARY, borrowed_libcurl
from libs.devstack.memory_kafka import MEMORY_KAFKA_EXTRA, memory_kafka, memory_kafka_is_installed
from libs.devstack.mongod import INSTALL_MONGOD, find_mongod, mongod_obstacle, mongodb_fault, native_mongod
from libs.devstack.ports import LOOPBACK
from libs.devstack.settings import StackSettings
from libs.runtime import RuntimeSettings


class Backend(Protocol):
    """A Kafka or a MongoDB, wherever it runs. `address` is what clients connect to; it holds from `start` on."""

    name: str
    address: str
    origin: str

    async def start(self) -> None:
        """Start unless it runs, and wait until it answers. Raises StackError."""

    async def stop(self) -> None:
        """Stop it if it is ours; its data stays."""

    async def kill(self) -> None:
        """End it at once, as a crash would. Raises StackError when it is not ours."""


class External:
    """A server that somebody else runs: it must answer, and is left alone."""

    def __init__(self, name: str, address: str, variable: str) -> None:
        self.name = name
        self.address = address
        self.origin = variable
        self._variable = variable

    async def start(self) -> None:
        """Check that it answers. Raises StackError."""
        fault = await (kafka_fault(self.address) if self.name == "Kafka" else mongodb_fault(self.address))
        if fault is not None:
            raise StackError(f"{self.name}: {fault}", f"start it, or unset {self._variable} to have one started here")

    async def stop(self) -> None:
        """Leave it running."""

    async def kill(self) -> None:
        """Refuse: it belongs to somebody else."""
        raise StackError(f"{self.name} at {self.address} is not ours to kill", f"unset {self._variable}")


@dataclass
class Infrastructure:
    """One Kafka and one MongoDB."""

    kafka: Backend
    mongodb: Backend

    @classmethod
    async def resolve(cls, settings: StackSettings, directory: Path, *, detached: bool = False, memory_allowed: bool = False) -> Self:
        """Find both without starting them; data and logs go below `directory`. Raises StackError, naming what to install."""
        return cls(
            await resolve_kafka(settings, directory, detached=detached, memory_allowed=memory_allowed),
            resolve_mongodb(settings, directory, detached=detached),
        )

    @classmethod
    async def private(cls, directory: Path) -> Self:
        """Servers of the caller's own on free ports, whatever the environment says: for tests that kill and restart them."""
        own = StackSettings().on_free_ports().model_copy(update={"kafka_bootstrap_servers": None, "mongodb_url": None})
        return await cls.resolve(own, directory)

    async def start(self) -> None:
        """Start both side by side. Raises StackError."""
        await asyncio.gather(self.kafka.start(), self.mongodb.start())

    async def stop(self) -> None:
        """Stop what is ours of them."""
        await asyncio.gather(self.kafka.stop(), self.mongodb.stop())

    def settings(self, namespace: str = "") -> RuntimeSettings:
        """How a service reaches both."""
        return RuntimeSettings(kafka_bootstrap_servers=self.kafka.address, mongodb_url=self.mongodb.address, namespace=namespace)


async def resolve_kafka(settings: StackSettings, directory: Path, *, detached: bool, memory_allowed: bool) -> Backend:
    """The first Kafka that can be had, not yet started. Raises StackError."""
    if settings.kafka_bootstrap_servers is not None:
        return External("Kafka", settings.kafka_bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")
    log = directory / "logs" / "kafka.log"
    if find_java() is not None:
        return await native_kafka(directory / "kafka", settings.kafka_port, settings.kafka_controller_port, log=log, detached=detached)
    if docker_compose_answers():
        address = f"{LOOPBACK}:{settings.kafka_port}"
        return ComposeService("Kafka", "kafka", address=address, environment={"KAFKA_PORT": str(settings.kafka_port)})
    if memory_allowed and memory_kafka_is_installed():
        return memory_kafka(directory / "kafka", log=log, detached=detached)
    last_resort = f"; or, without persistence, uv sync --extra {MEMORY_KAFKA_EXTRA}" if memory_allowed else ""
    raise StackError(
        f"there is no Kafka to be had: no Java {JAVA_MAJOR_MIN} or newer, and no Docker engine answers",
        f"{INSTALL_JAVA}; or set KAFKA_BOOTSTRAP_SERVERS to one that runs{last_resort}",
    )


def resolve_mongodb(settings: StackSettings, directory: Path, *, detached: bool) -> Backend:
    """The first MongoDB that can be had, not yet started. Raises StackError."""
    if settings.mongodb_url is not None:
        return External("MongoDB", settings.mongodb_url, "MONGODB_URL")
    mongod = find_mongod()
    obstacle = "no mongod on the PATH, none from PyPI for this machine" if mongod is None else mongod_obstacle(mongod[0])
    environment: dict[str, str] = {}
    if mongod is not None and obstacle is not None and LIBRARY in obstacle:
        environment = borrowed_libcurl(directory / "lib")
        obstacle = mongod_obstacle(mongod[0], environment)
    if mongod is not None and obstacle is None:
        log = directory / "logs" / "mongodb.log"
        own = directory / "mongodb"
        return native_mongod(*mongod, own, settings.mongodb_port, log=log, environment=environment, detached=detached)
    if docker_compose_answers():
        # The member's own name is only known inside Docker, so do not ask the replica set where it is.
        address = f"mongodb://{LOOPBACK}:{settings.mongodb_port}/?directConnection=true"
        return ComposeService("MongoDB", "mongodb", address=address, environment={"MONGODB_PORT": str(settings.mongodb_port)})
    raise StackError(
        f"there is no MongoDB to be had: {obstacle}, and no Docker engine answers",
        f"{INSTALL_LIBRARY if obstacle and LIBRARY in obstacle else INSTALL_MONGOD}; or set MONGODB_URL to a replica set that runs",
    )
