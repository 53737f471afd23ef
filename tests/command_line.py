"""The `tarifa` command as a process beside the services of a test, and how it refuses within a test's own process."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from typer.testing import Result

from libs.cli.errors import CommandError
from libs.runtime import RuntimeSettings


@dataclass(frozen=True)
class CommandOutcome:
    """How the command ended, and what it told machines (`out`) and people (`err`)."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it told machines. Raises ValueError when that is not JSON."""
        return json.loads(self.out)


def refusal(outcome: Result) -> CommandError:
    """What was wrong, of a command that refused."""
    assert isinstance(outcome.exception, CommandError), outcome.output
    return outcome.exception


async def run_tarifa(settings: RuntimeSettings, *arguments: str) -> CommandOutcome:
    """Run the command against the Kafka, MongoDB and namespace of `settings`."""
    return await run_tarifa_in(
        {
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "MONGODB_URL": settings.mongodb_url,
            "TARIFA_NAMESPACE": settings.namespace,
        },
        *arguments,
    )


async def run_tarifa_in(environment: Mapping[str, str], *arguments: str) -> CommandOutcome:
    """Run the command with these variables added to the environment."""
    command = [sys.executable, "-c", "from libs.cli import main; main()", *arguments]
    running = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, "COLUMNS": "200", **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, err = await running.communicate()
    assert running.returncode is not None
    return CommandOutcome(running.returncode, out.decode(), err.decode())
