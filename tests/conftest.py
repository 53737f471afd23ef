"""Fixtures that every folder of tests may use. Real Kafka and MongoDB come from the same resolver as `tarifa up`."""

import gc
import os
import subprocess
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from libs.runtime import RuntimeSettings

# Brokers of tests live for minutes: Java's optimizing compiler costs them half of their time and gains them nothing before they end.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")

# What reaches Kafka and MongoDB is imported where it is wanted: it takes half a second, also where tests are only handed out.


def pytest_collection_finish() -> None:
    """Let the collector pass over what was imported."""
    gc.freeze()


@pytest.fixture(scope="session")
async def infrastructure() -> AsyncIterator[dict[str, str]]:
    """Where Kafka and MongoDB answer: those that the environment names, else containers, else processes of our own.

    On free ports and in a directory of their own, so that they meet no stack that runs; stopped at the end.
    """
    from libs.devstack import Infrastructure, StackSettings
    from libs.devstack.compose import docker_engine_answers

    stack = StackSettings().on_free_ports()
    async with AsyncExitStack() as until_the_end:
        if stack.kafka_bootstrap_servers is None and stack.mongodb_url is None and docker_engine_answers():
            from tests.containers import containers

            try:
                yield await until_the_end.enter_async_context(containers())
                return
            except (OSError, TimeoutError, subprocess.SubprocessError) as error:
                warnings.warn(f"a Docker engine answers but runs neither Kafka nor MongoDB: {error}", stacklevel=1)
        directory = until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="tarifa-tests-"))
        own = await Infrastructure.resolve(stack, Path(directory))
        until_the_end.push_async_callback(own.stop)
        await own.start()
        yield {"kafka_bootstrap_servers": own.kafka.address, "mongodb_url": own.mongodb.address}


@pytest.fixture
async def settings(infrastructure: dict[str, str]) -> AsyncIterator["RuntimeSettings"]:
    """Settings of a namespace of its own: fresh topics and databases, dropped afterwards."""
    from tests.namespace import fresh_namespace

    async with fresh_namespace(infrastructure) as fresh:
        yield fresh
    # FastAPI keeps thousands of endpoints, and by these the services of tests that are over. After some hundreds of tests a look through
    # them takes a busy machine longer than a heartbeat may, so that consumers lose their place while they take it.
    gc.collect()
    gc.freeze()
