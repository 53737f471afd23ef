"""Kafka or MongoDB from `docker-compose.yml`, where a Docker engine answers."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Mapping

from libs.devstack.errors import StackError
from libs.devstack.settings import PROJECT_ROOT

ENGINE_TIMEOUT_S = 10.0


class ComposeService:
    """One service of the compose file, started and stopped alone; its data is a volume."""

    def __init__(self, name: str, compose_name: str, *, address: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.address = address
        self.origin = f"Docker compose service {compose_name}"
        self.compose_name = compose_name
        self._environment = environment

    async def start(self) -> None:
        """Start and wait until its health check passes. Raises StackError."""
        await self._compose("up", "--detach", "--wait", self.compose_name)

    async def stop(self) -> None:
        """Stop; the volume stays."""
        await self._compose("stop", self.compose_name)

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        await self._compose("kill", self.compose_name)

    async def purge(self) -> None:
        """Remove the container and its volumes."""
        await self._compose("rm", "--stop", "--force", "--volumes", self.compose_name)

    async def _compose(self, *arguments: str) -> None:
        command = ["docker", "compose", "--project-directory", str(PROJECT_ROOT), *arguments]
        running = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, **self._environment}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        told, _ = await running.communicate()
        if running.returncode != 0:
            lines = told.decode(errors="replace").strip().splitlines() or ["no output"]
            raise StackError(f"{self.name} in Docker: {lines[-1]}", f"try it by hand: {' '.join(command)}")


def docker_compose_answers() -> bool:
    """Whether there is a Docker engine, and the compose plugin to talk to it."""
    return docker_compose_is_installed() and docker_engine_answers()


def docker_compose_is_installed() -> bool:
    """Whether docker has its compose plugin; says nothing about an engine."""
    return shutil.which("docker") is not None and _succeeds("docker", "compose", "version")


def docker_engine_answers() -> bool:
    """Whether there is a Docker engine that this user may talk to."""
    return shutil.which("docker") is not None and _succeeds("docker", "info")


def _succeeds(*command: str) -> bool:
    try:
        subprocess.run(command, capture_output=True, timeout=ENGINE_TIMEOUT_S, check=True)
    except (subprocess.SubprocessError, OSError):
        return False
    return True
