"""The whole stack on this machine: what `tarifa up`, `down`, `status` and `logs` do."""

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from libs.devstack.compose import ComposeService
from libs.devstack.errors import StackError
from libs.devstack.infrastructure import Backend, Infrastructure
from libs.devstack.kafka import kafka_fault
from libs.devstack.mongod import mongodb_fault
from libs.devstack.program import READY_TIMEOUT_S, TERMINATE_TIMEOUT_S, Program
from libs.devstack.services import ServiceCondition, service_condition, service_process, supervisor_process
from libs.devstack.settings import SERVICES, StackSettings
from libs.devstack.state import StackState, Started, stack_lock
from libs.runtime import RuntimeSettings
from libs.runtime.topics import alter_topics, create_topics

INFRASTRUCTURE = ("kafka", "mongodb")
# Hub subscribers of a stack on one machine are on that machine; elsewhere the services refuse to call there.
LOOPBACK_SUBSCRIBERS = {"HUB_ALLOWED_NETWORKS": os.environ.get("HUB_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")}


@dataclass(frozen=True)
class Condition:
    """The state of a member of the stack. `missing` is None when it does its work. `warnings` name what a person should look at."""

    name: str
    started: Started
    missing: str | None
    warnings: dict[str, str] = field(default_factory=dict)


@dataclass
class Stack:
    """Changes and tells the stack of `settings.home`; `say` is told each step for people to read."""

    settings: StackSettings
    say: Callable[[str], None]
    state: StackState = field(init=False)

    def __post_init__(self) -> None:
        self.state = StackState.load(self.settings.home)

    async def up(self, services: Sequence[str] = SERVICES, *, ready_timeout_s: float = READY_TIMEOUT_S) -> list[Condition]:
        """Start what is missing, dead or configured otherwise, and wait. Raises StackError when Kafka or MongoDB do not start;
        a service that does not is told by its condition."""
        with stack_lock(self.settings.home):
            self.state = StackState.load(self.settings.home)
            # One with the newest environment takes its place.
            await self._stop_supervisor()
            try:
                return await self._up(services, ready_timeout_s)
            finally:
                self._supervise()

    async def _up(self, services: Sequence[str], ready_timeout_s: float) -> list[Condition]:
        self.state.namespace = self.settings.namespace
        infrastructure = await Infrastructure.resolve(self.settings, self.settings.home, detached=True, memory_allowed=True)
        starting = (self._start("kafka", infrastructure.kafka), self._start("mongodb", infrastructure.mongodb))
        # Both to their end before the first fault is told, so that what did start is remembered.
        for outcome in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
        runtime = infrastructure.settings(self.settings.namespace)
        created = await create_topics(runtime)
        if created:
            self.say(f"{len(created)} topics created")
        altered = await alter_topics(runtime)
        if altered:
            self.say(f"{len(altered)} topics given their retention")
        programs = [await self._launch(name, runtime) for name in services]
        if programs:
            self.say(f"waiting for {', '.join(program.name for program in programs)}")
        missing = await asyncio.gather(*(self._until_ready(program, ready_timeout_s) for program in programs))
        answers = dict(zip(services, missing, strict=True))
        return [await self._came_up(name, answers.get(name)) for name in (*INFRASTRUCTURE, *services)]

    async def down(self, *, purge: bool = False) -> list[str]:
        """Stop what `up` started, services first; with `purge` the data goes as well. Returns the names stopped."""
        with stack_lock(self.settings.home):
            self.state = StackState.load(self.settings.home)
            await self._stop_supervisor()
            services = [name for name in self.state.members if name not in INFRASTRUCTURE]
            stopped = [name for name in self.state.members if self.state.members[name].is_alive and self._is_ours(name)]
            await asyncio.gather(*(self._stop(name, purge=purge) for name in services))
            await asyncio.gather(*(self._stop(name, purge=purge) for name in list(self.state.members)))
            if purge:
                for name in (*INFRASTRUCTURE, "logs"):
                    shutil.rmtree(self.settings.home / name, ignore_errors=True)
            return stopped

    async def status(self) -> list[Condition]:
        """Return the present state of each member."""
        names = sorted(self.state.members, key=(*INFRASTRUCTURE, *SERVICES).index)
        return list(await asyncio.gather(*(self._condition(name) for name in names)))

    @property
    def is_supervised(self) -> bool:
        """Return whether services that end are started again."""
        supervisor = self.state.supervisor
        return (supervisor is not None and supervisor.find() is not None) or not any(name in SERVICES for name in self.state.members)

    def log(self, name: str) -> Path:
        """The log file of a member. Raises StackError when there is none."""
        known = {member: started.log for member, started in self.state.members.items() if started.log is not None}
        if name not in known:
            raise StackError(
                f"{name} has no log here", f"choose one of {', '.join(known)}" if known else "start the stack with `tarifa up`"
            )
        return known[name]

    async def _start(self, name: str, backend: Backend) -> None:
        before = self.state.members.get(name)
        # A backend that chooses its own port has no address yet.
        if before is not None and (before.origin != backend.origin or backend.address not in ("", before.address)):
            await self._stop(name)
            before = None
        if isinstance(backend, Program) and before is not None and before.process is not None:
            backend.identity = before.process
        running = isinstance(backend, Program) and backend.is_alive
        self.say(f"{backend.name}: {backend.origin}{' (runs already)' if running else ''}")
        try:
            await backend.start()
        finally:
            # Also when it does not become ready: `down` must find it.
            if not isinstance(backend, Program) or backend.is_alive:
                self._remember(name, backend)

    async def _launch(self, name: str, runtime: RuntimeSettings) -> Program:
        log = self.settings.home / "logs" / f"{name}.log"
        port = self.settings.service_port(name)
        program = service_process(name, runtime, port=port, log=log, environment=LOOPBACK_SUBSCRIBERS, detached=True)
        configuration = _digest(program.environment)
        before = self.state.members.get(name)
        if before is not None and before.is_alive and before.configuration != configuration:
            self.say(f"{name}: configured otherwise, starts again")
            await self._stop(name)
        elif before is not None:
            program.identity = before.process
        if not program.is_alive:
            program.launch()
            self._remember(name, program, configuration)
        return program

    async def start_again(self, name: str, runtime: RuntimeSettings, reason: str) -> Program:
        """Start a service that ended, and remember why. Raises StackError."""
        before = self.state.members[name]
        program = await self._launch(name, runtime)
        counted = {"restarts": before.restarts + 1, "restarted_at": datetime.now(UTC), "ended_because": reason}
        self.state.members[name] = self.state.members[name].model_copy(update=counted)
        self.state.save(self.settings.home)
        return program

    async def _stop_supervisor(self) -> None:
        supervisor, self.state.supervisor = self.state.supervisor, None
        if supervisor is not None:
            await supervisor.terminate(TERMINATE_TIMEOUT_S)
            self.state.save(self.settings.home)

    def _supervise(self) -> None:
        if any(name in SERVICES for name in self.state.members):
            supervisor = supervisor_process(self.settings.home)
            supervisor.launch()
            self.state.supervisor = supervisor.identity
            self.state.save(self.settings.home)

    async def _until_ready(self, program: Program, timeout_s: float) -> str | None:
        try:
            await program.wait_ready(timeout_s)
        except StackError as error:
            return str(error)
        return None

    async def _stop(self, name: str, *, purge: bool = False) -> None:
        started = self.state.members.get(name)
        if started is None:
            return
        if started.process is not None and started.process.find() is not None:
            self.say(f"{name}: stopping")
            await started.process.terminate(TERMINATE_TIMEOUT_S)
        elif started.compose_service is not None:
            self.say(f"{name}: stopping its container")
            container = ComposeService(started.name, started.compose_service, address=started.address, environment={})
            await (container.purge() if purge else container.stop())
        # Only now: who is stopped beside it saves the same state, and an interrupted `down` must not forget what still runs.
        del self.state.members[name]
        self.state.save(self.settings.home)

    async def _came_up(self, name: str, missing: str | None) -> Condition:
        if missing is not None or name in INFRASTRUCTURE:
            return Condition(name, self.state.members[name], missing)
        return await self._condition(name)

    async def _condition(self, name: str) -> Condition:
        started = self.state.members[name]
        told = await self._told(name, started) if started.is_alive else ServiceCondition("not running")
        return Condition(name, started, told.fault, told.warnings)

    async def _told(self, name: str, started: Started) -> ServiceCondition:
        if name == "kafka":
            return ServiceCondition(await kafka_fault(started.address))
        if name == "mongodb":
            return ServiceCondition(await mongodb_fault(started.address))
        return await service_condition(started.address)

    def _is_ours(self, name: str) -> bool:
        started = self.state.members[name]
        return started.process is not None or started.compose_service is not None

    def _remember(self, name: str, backend: Backend, configuration: str = "") -> None:
        program = backend if isinstance(backend, Program) else None
        self.state.members[name] = Started(
            name=backend.name,
            origin=backend.origin,
            address=backend.address,
            log=program.log if program else None,
            process=program.identity if program else None,
            compose_service=backend.compose_name if isinstance(backend, ComposeService) else None,
            configuration=configuration,
        )
        self.state.save(self.settings.home)


def running_settings(settings: StackSettings | None = None) -> RuntimeSettings:
    """Return the settings of the stack that runs: the environment's servers, else those that `tarifa up` started.

    Raises StackError when there are none.
    """
    settings = settings or StackSettings()
    state = StackState.load(settings.home)
    kafka = settings.kafka_bootstrap_servers or _address(state, "kafka")
    mongodb = settings.mongodb_url or _address(state, "mongodb")
    if kafka is None or mongodb is None:
        raise StackError(
            f"no {'Kafka' if kafka is None else 'MongoDB'} is known",
            "start the stack with `tarifa up`, or set KAFKA_BOOTSTRAP_SERVERS and MONGODB_URL",
        )
    return RuntimeSettings(kafka_bootstrap_servers=kafka, mongodb_url=mongodb, namespace=settings.namespace or state.namespace)


def running_service_url(service: str, settings: StackSettings | None = None) -> str:
    """Return the URL of a service of the stack. Raises StackError when it was not started."""
    settings = settings or StackSettings()
    url = _address(StackState.load(settings.home), service)
    if url is None:
        raise StackError(f"{service} does not run here", f"start it with `tarifa up --only {service}`")
    return url


def _address(state: StackState, name: str) -> str | None:
    started = state.members.get(name)
    return started.address if started is not None else None


def _digest(environment: dict[str, str]) -> str:
    return hashlib.sha256(json.dumps(environment, sort_keys=True).encode()).hexdigest()[:16]
