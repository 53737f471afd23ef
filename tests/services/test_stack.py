"""`tarifa up | down | status | logs` as a person runs them: a stack of its own, on free ports and in a folder of its own."""

import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from libs.devstack import free_port
from libs.devstack.java import find_java
from libs.devstack.mongod import find_mongod
from libs.devstack.state import StackState
from tests.command_line import CommandOutcome, run_tarifa_in

RESTART_S_MAX = 120.0
PORTS = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "MONGODB_PORT", "LEDGER_PORT", "OPERATIONS_PORT")

pytestmark = pytest.mark.skipif(
    find_java() is None or find_mongod() is None, reason=f"nothing to run Kafka or MongoDB with: no {'mongod' if find_java() else 'Java'}"
)


@dataclass(frozen=True)
class Desk:
    """A person at a shell."""

    environment: dict[str, str]

    async def tarifa(self, *arguments: str, **environment: str) -> CommandOutcome:
        return await run_tarifa_in({**self.environment, **environment}, *arguments)

    async def status(self) -> dict[str, Any]:
        return (await self.tarifa("status", "--json")).json

    def pids(self) -> dict[str, int]:
        """Of what `up` remembers to have started."""
        members = StackState.load(Path(self.environment["TARIFA_HOME"])).members
        return {name: started.process.pid for name, started in members.items() if started.process is not None}


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended may wait a while for init to take note."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A stack of Kafka, MongoDB and ledger that came up."""
    ports = {name: str(free_port()) for name in PORTS}
    elsewhere = {"KAFKA_BOOTSTRAP_SERVERS": "", "MONGODB_URL": "", "TARIFA_NAMESPACE": ""}
    desk = Desk({**ports, **elsewhere, "TARIFA_HOME": str(tmp_path_factory.mktemp("stack"))})
    try:
        came_up = await desk.tarifa("up", "--only", "ledger")
        assert came_up.exit_code == 0, came_up.err
        yield desk
    finally:
        await desk.tarifa("down", "--purge")


async def test_all_that_was_asked_for_is_ready_and_told(desk: Desk) -> None:
    status = await desk.status()
    assert {name: member["state"] for name, member in status.items()} == {"kafka": "ready", "mongodb": "ready", "ledger": "ready"}
    assert status["kafka"]["address"] == f"127.0.0.1:{desk.environment['KAFKA_PORT']}"
    assert status["ledger"]["address"] == f"http://127.0.0.1:{desk.environment['LEDGER_PORT']}"
    assert "service started" in (await desk.tarifa("logs", "ledger")).out


async def test_coming_up_again_changes_nothing(desk: Desk) -> None:
    before = desk.pids()
    again = await desk.tarifa("up", "--only", "ledger")
    assert again.exit_code == 0
    assert "topics created" not in again.err
    assert desk.pids() == before


async def test_a_service_that_died_is_started_again_by_itself_and_that_is_told(desk: Desk) -> None:
    before = desk.pids()
    os.kill(before["ledger"], signal.SIGKILL)
    deadline = time.monotonic() + RESTART_S_MAX
    while (told := (await desk.status())["ledger"])["state"] != "ready" or told["restarts"] == 0:
        assert time.monotonic() < deadline, told
    assert told["restarts"] == 1
    assert "its log ends with" in told["ended_because"]
    assert "ledger: started again 1 times" in (await desk.tarifa("status")).err
    after = desk.pids()
    assert after["ledger"] != before["ledger"]
    assert (after["kafka"], after["mongodb"]) == (before["kafka"], before["mongodb"])


async def test_a_service_on_a_taken_port_is_refused_naming_the_port_and_the_variable(desk: Desk) -> None:
    refused = await desk.tarifa("up", "--only", "operations", OPERATIONS_PORT=desk.environment["LEDGER_PORT"])
    assert refused.exit_code == 3
    assert f"port {desk.environment['LEDGER_PORT']}, which operations needs, is taken by " in refused.err
    assert "OPERATIONS_PORT" in refused.err


async def test_a_service_that_is_configured_otherwise_starts_again(desk: Desk) -> None:
    before = desk.pids()
    moved = str(free_port())
    told = (await desk.tarifa("up", "--only", "ledger", "--port", f"ledger={moved}", "--json")).json
    assert told["ledger"]["address"].endswith(moved)
    assert told["ledger"]["pid"] != before["ledger"]
    assert told["kafka"]["pid"] == before["kafka"]


async def test_going_down_stops_all_of_it_keeps_the_data_and_nothing_else_is_touched(desk: Desk) -> None:
    pids = desk.pids()
    supervisor = StackState.load(Path(desk.environment["TARIFA_HOME"])).supervisor
    assert supervisor is not None
    assert (await desk.tarifa("down")).exit_code == 0
    assert supervisor.find() is None
    assert not [pid for pid in pids.values() if runs(pid)]
    assert "nothing was running" in (await desk.tarifa("down")).err
    again = await desk.tarifa("up", "--infrastructure-only")
    assert again.exit_code == 0, again.err
    assert "topics created" not in again.err, "the topics were kept"


async def test_purging_removes_data_and_logs(desk: Desk) -> None:
    assert (await desk.tarifa("down", "--purge")).exit_code == 0
    home = Path(desk.environment["TARIFA_HOME"])
    assert not [left for left in ("kafka", "mongodb", "logs") if (home / left).exists()]
