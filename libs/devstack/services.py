"""A service as a process of its own: `python -m services.<name>`, with its port and its log."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from libs.devstack.ports import LOOPBACK, PortUse
from libs.devstack.program import Program
from libs.devstack.settings import PROJECT_ROOT, port_variable
from libs.runtime import RuntimeSettings

PROBE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ServiceCondition:
    """What a service says of itself. `fault` is None when it is ready."""

    fault: str | None
    warnings: dict[str, str] = field(default_factory=dict)


def service_process(
    name: str,
    settings: RuntimeSettings,
    *,
    port: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    detached: bool = False,
) -> Program:
    """One of the seven on `port`, talking to the Kafka and MongoDB of `settings` in its namespace.

    `environment` adds variables of the service's own, such as a rate book.
    """
    address = f"http://{LOOPBACK}:{port}"

    async def ready() -> str | None:
        return await service_fault(address)

    return Program(
        name,
        [sys.executable, "-m", f"services.{name}"],
        address=address,
        origin=f"python -m services.{name}",
        log=log,
        ready=ready,
        ports=[PortUse(port, name, port_variable(name))],
        environment={
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "MONGODB_URL": settings.mongodb_url,
            "TARIFA_NAMESPACE": settings.namespace,
            "LOG_FORMAT": settings.log_format,
            "LOG_LEVEL": settings.log_level,
            port_variable(name): str(port),
            **(environment or {}),
        },
        directory=PROJECT_ROOT,
        detached=detached,
    )


def supervisor_process(home: Path) -> Program:
    """The supervisor of the stack in `home`. It outlives the caller and has the caller's environment."""

    async def ready() -> str | None:
        return None

    module = "libs.devstack.supervisor"
    return Program(
        "supervisor",
        [sys.executable, "-m", module],
        address="",
        origin=f"python -m {module}",
        log=home / "logs" / "supervisor.log",
        ready=ready,
        environment={"TARIFA_HOME": str(home)},
        directory=PROJECT_ROOT,
        detached=True,
    )


async def service_fault(address: str) -> str | None:
    """Return what a service says it lacks at /health/ready, or None when it is ready."""
    return (await service_condition(address)).fault


async def service_condition(address: str) -> ServiceCondition:
    """Return what a service says at /health/ready: what it lacks, and its warnings."""
    try:
        async with httpx.AsyncClient(base_url=address, timeout=PROBE_TIMEOUT_S, trust_env=False) as client:
            answer = await client.get("/health/ready")
    except httpx.HTTPError as error:
        return ServiceCondition(f"{address} does not answer: {type(error).__name__}")
    try:
        body = answer.json()
        down, warnings = body.get("down", {}), body.get("warnings", {})
    except (ValueError, AttributeError):
        down, warnings = {}, {}
    if answer.status_code == httpx.codes.OK:
        return ServiceCondition(None, warnings)
    fault = "; ".join(f"{what}: {why}" for what, why in down.items())
    return ServiceCondition(fault or f"{address}/health/ready answers {answer.status_code}", warnings)
