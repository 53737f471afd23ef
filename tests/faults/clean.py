"""The audit as an operative runs it."""

import asyncio
import os
import sys
from pathlib import Path

from libs.runtime import RuntimeSettings

AUDIT_TIMEOUT_S = 120.0


async def assert_audit_is_clean(settings: RuntimeSettings) -> None:
    """`tarifa audit --json` finds no difference in this namespace."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "MONGODB_URL": settings.mongodb_url,
        "TARIFA_NAMESPACE": settings.namespace,
    }
    audit = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "tarifa"),
        # Before the run of the month that the tests are about is due: some of their cycles are not run.
        *("audit", "--json", "--as-of", "2026-04-01"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    killer = asyncio.get_running_loop().call_later(AUDIT_TIMEOUT_S, audit.kill)
    told, _ = await audit.communicate()
    killer.cancel()
    assert audit.returncode == 0, told.decode()
