"""The stack's parts on this machine: programs known by more than a pid, ports, settings, and what the resolver says is missing."""

import asyncio
import importlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_type_hints

import psutil
import pytest
from typer.testing import CliRunner

from libs.cli import app
from libs.cli.errors import CommandError
from libs.devstack.errors import StackError
from libs.devstack.infrastructure import External, Infrastructure
from libs.devstack.ports import PortUse, free_port, require_free
from libs.devstack.program import ProcessIdentity, Program
from libs.devstack.settings import SERVICES, StackSettings, port_variable
from libs.devstack.stack import Stack, running_service_url, running_settings
from libs.devstack.state import StackState, Started, stack_lock
from libs.runtime import RuntimeSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


async def ready_at_once() -> str | None:
    return None


async def never_ready() -> str | None:
    return "it thinks"


def program(log: Path, command: list[str] = SLEEP, ready=ready_at_once, **arguments) -> Program:
    return Program("sleeper", command, address="nowhere", origin="a test", log=log, ready=ready, **arguments)


@pytest.fixture
async def sleeper(tmp_path: Path) -> AsyncIterator[Program]:
    sleeping = program(tmp_path / "sleeper.log")
    yield sleeping
    await sleeping.kill()


async def test_a_killed_program_starts_again(sleeper: Program) -> None:
    await sleeper.start()
    first = sleeper.pid
    await sleeper.kill()
    assert not sleeper.is_alive
    await sleeper.start()
    assert sleeper.is_alive
    assert sleeper.pid != first


async def test_starting_a_program_that_runs_changes_nothing(sleeper: Program) -> None:
    await sleeper.start()
    first = sleeper.pid
    await sleeper.start()
    assert sleeper.pid == first


async def test_a_program_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    log = tmp_path / "deaf.log"

    async def deaf() -> str | None:
        return None if "deaf" in log.read_text() else "it still hears"

    sleeping = program(log, [sys.executable, "-c", stubborn], deaf)
    await sleeping.start()
    await sleeping.terminate(timeout_s=0.2)
    assert not sleeping.is_alive


async def test_a_process_that_got_the_pid_of_another_is_left_alone(sleeper: Program) -> None:
    await sleeper.start()
    assert sleeper.identity is not None
    earlier = ProcessIdentity(pid=sleeper.identity.pid, started_at=sleeper.identity.started_at - 3600)
    assert earlier.find() is None
    assert await earlier.end(signal.SIGKILL, 1.0)
    assert sleeper.is_alive


async def test_a_program_that_ends_while_starting_is_told_with_its_last_words(tmp_path: Path) -> None:
    failing = program(tmp_path / "failing.log", [sys.executable, "-c", "raise SystemExit('no rate book')"], never_ready)
    with pytest.raises(StackError, match="ended while starting: no rate book"):
        await failing.start()


async def test_a_program_that_takes_too_long_is_told_with_what_it_lacks(tmp_path: Path) -> None:
    thinking = program(tmp_path / "thinking.log", ready=never_ready)
    try:
        with pytest.raises(StackError, match=r"not ready after 0\.2 s: it thinks"):
            await thinking.start(ready_timeout_s=0.2)
    finally:
        await thinking.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
async def test_a_program_ends_with_the_process_that_started_it_unless_detached(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    parent = os.fork()
    if parent == 0:
        started = [program(tmp_path / "log", detached=detached) for detached in (False, True)]
        for each in started:
            each.launch()
        os.write(writing, " ".join(str(each.pid) for each in started).encode())
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(parent, 0)
    bound, detached = (int(pid) for pid in os.read(reading, 100).split())
    os.close(reading)
    os.close(writing)
    try:
        async with asyncio.timeout(10):
            while psutil.pid_exists(bound) and psutil.Process(bound).status() != psutil.STATUS_ZOMBIE:
                await asyncio.sleep(0.02)
        assert psutil.pid_exists(detached)
    finally:
        os.kill(detached, signal.SIGKILL)


def test_a_taken_port_is_told_with_who_has_it_who_needs_it_and_what_moves_it() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        number = listener.getsockname()[1]
        with pytest.raises(StackError) as told:
            require_free(PortUse(number, "rating", "RATING_PORT"))
    assert told.value.problem.startswith(f"port {number}, which rating needs, is taken by ")
    assert f"(pid {os.getpid()})" in told.value.problem
    assert "RATING_PORT" in told.value.remedy


def test_a_free_port_can_be_had() -> None:
    require_free(PortUse(free_port(), "a test", "PORT"))


def test_a_free_port_is_given_once_whichever_process_asks() -> None:
    mine = [str(free_port()) for _ in range(5)]
    asks = (
        "import random, sys; from libs.devstack import ports; numbers = iter([*map(int, sys.argv[1:]), *ports.FREE_PORTS]); "
        "random.choice = lambda _: next(numbers); print(ports.free_port())"
    )
    other = subprocess.run([sys.executable, "-c", asks, *mine], capture_output=True, text=True, check=True).stdout.strip()
    assert other.isdigit()
    assert len({*mine, other}) == 6


@pytest.mark.parametrize("service", SERVICES)
def test_the_stack_gives_each_service_the_port_that_its_own_settings_read(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build = importlib.import_module(f"services.{service}.service").build
    settings_class = get_type_hints(build)["settings"]
    monkeypatch.delenv(port_variable(service), raising=False)
    assert settings_class().http_port == StackSettings().service_port(service)
    monkeypatch.setenv(port_variable(service), "4711")
    assert settings_class().http_port == StackSettings().service_port(service) == 4711


def test_the_home_of_the_stack_is_not_the_home_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TARIFA_HOME", raising=False)
    assert StackSettings().home.name == ".tarifa"


async def test_servers_that_the_environment_names_come_before_all_others(tmp_path: Path) -> None:
    settings = StackSettings(kafka_bootstrap_servers="kafka.example:9092", mongodb_url="mongodb://mongodb.example")
    found = await Infrastructure.resolve(settings, tmp_path)
    assert isinstance(found.kafka, External)
    assert isinstance(found.mongodb, External)
    assert (found.kafka.address, found.mongodb.address) == ("kafka.example:9092", "mongodb://mongodb.example")
    with pytest.raises(StackError, match="not ours to kill"):
        await found.kafka.kill()


async def test_a_server_that_the_environment_names_but_that_does_not_answer_is_told() -> None:
    with pytest.raises(StackError, match=r"nothing listens on .*: start it, or unset KAFKA_BOOTSTRAP_SERVERS"):
        await External("Kafka", f"127.0.0.1:{free_port()}", "KAFKA_BOOTSTRAP_SERVERS").start()


async def test_a_machine_without_java_and_docker_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("libs.devstack.java._java_in_wheel", lambda: None)
    settings = StackSettings().model_copy(update={"kafka_bootstrap_servers": None})
    with pytest.raises(StackError, match="apt-get install -y openjdk-17-jre-headless"):
        await Infrastructure.resolve(settings, tmp_path)


def stand_in(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "problem", "remedy"),
    [
        (
            'echo "$0: error while loading shared libraries: libcurl.so.4: cannot open shared object file" >&2; exit 127',
            "mongod does not run: error while loading shared libraries: libcurl.so.4: cannot open shared object file",
            "uv sync --group libcurl, or apt-get install -y libcurl4",
        ),
        ("kill -ILL $$", "mongod does not run: it ended with -4", "install MongoDB's server"),
    ],
)
async def test_a_mongod_that_cannot_run_here_is_told_with_its_reason_and_the_remedy(
    script: str, problem: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path / "mongod", script)
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = StackSettings(kafka_bootstrap_servers="kafka.example:9092").model_copy(update={"mongodb_url": None})
    with pytest.raises(StackError) as told:
        await Infrastructure.resolve(settings, tmp_path)
    assert problem in told.value.problem
    assert told.value.remedy.startswith(remedy)


def test_what_was_started_is_remembered_for_its_owner_only(tmp_path: Path) -> None:
    started = Started(name="Kafka", origin="a test", address="127.0.0.1:9092", process=ProcessIdentity.of(os.getpid()))
    StackState(namespace="blue", members={"kafka": started}).save(tmp_path)
    assert StackState.load(tmp_path).members["kafka"] == started
    assert (tmp_path / "state.json").stat().st_mode & 0o077 == 0


def test_a_state_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StackError, match="is not what `tarifa up` wrote"):
        StackState.load(tmp_path)


def test_two_commands_do_not_change_the_stack_at_once(tmp_path: Path) -> None:
    with stack_lock(tmp_path), pytest.raises(StackError, match="another tarifa command"), stack_lock(tmp_path):
        pass


def test_commands_reach_the_stack_that_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MONGODB_URL", "TARIFA_NAMESPACE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TARIFA_HOME", str(tmp_path))
    with pytest.raises(StackError, match="tarifa up"):
        running_settings()
    addresses = {"kafka": "127.0.0.1:1", "mongodb": "mongodb://127.0.0.1:2", "tmf_gateway": "http://127.0.0.1:3"}
    members = {name: Started(name=name, origin="a test", address=address) for name, address in addresses.items()}
    StackState(namespace="blue", members=members).save(tmp_path)
    assert running_settings() == RuntimeSettings(
        kafka_bootstrap_servers="127.0.0.1:1", mongodb_url="mongodb://127.0.0.1:2", namespace="blue"
    )
    assert running_service_url("tmf_gateway") == "http://127.0.0.1:3"
    with pytest.raises(StackError, match="tarifa up --only rating"):
        running_service_url("rating")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["up", "--only", "raiting"], "raiting is not a service; the services are rating, ledger"),
        (["up", "--only", "rating", "--infrastructure-only"], "exclude each other"),
        (["up", "--port", "raiting=1"], "'raiting' has no port; those that have are kafka"),
    ],
)
def test_a_wrong_name_is_refused_with_those_that_are_right(arguments: list[str], told: str) -> None:
    refused = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"})
    assert refused.exit_code == 2
    assert told in refused.stderr


def test_a_port_that_is_no_number_is_refused() -> None:
    refused = CliRunner().invoke(app, ["up", "--port", "kafka=many"])
    assert isinstance(refused.exception, CommandError)
    assert refused.exception.problem.startswith("KAFKA_PORT is 'many'")


DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


async def test_an_interrupted_down_remembers_what_still_runs(tmp_path: Path) -> None:
    deaf = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
    quick = subprocess.Popen(["sleep", "60"])
    try:
        assert deaf.stdout is not None
        assert deaf.stdout.readline() == b"deaf\n"
        members = {
            name: Started(name=name, origin="a test", address="", process=ProcessIdentity.of(process.pid))
            for name, process in (("kafka", deaf), ("mongodb", quick))
        }
        StackState(members=members).save(tmp_path)
        stopping = asyncio.create_task(Stack(StackSettings(TARIFA_HOME=tmp_path), lambda _: None).down())
        async with asyncio.timeout(20):
            while "mongodb" in StackState.load(tmp_path).members:
                await asyncio.sleep(0.02)
        assert list(StackState.load(tmp_path).members) == ["kafka"]
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
    finally:
        for process in (deaf, quick):
            process.kill()
            process.wait()
