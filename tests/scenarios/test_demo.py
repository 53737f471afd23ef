"""The demo as its user runs it: `tarifa demo` on real processes, all 2,666 customers and their 812,883 calls."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from libs.devstack.ports import free_port
from libs.devstack.settings import SERVICES, port_variable
from tests.namespace import fresh_namespace

pytestmark = pytest.mark.alone

# Far more than it takes: on a machine that is busy with other work it is slow, not wrong.
DEMO_MAX_S = 2_400
Tarifa = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]


@pytest.fixture(scope="module")
async def tarifa(infrastructure: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tarifa]:
    """Runs the command with a stack, a namespace and ports of its own; the stack is stopped at the end."""
    async with fresh_namespace(infrastructure) as settings:
        environment = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
            "MONGODB_URL": settings.mongodb_url,
            "TARIFA_NAMESPACE": settings.namespace,
            "TARIFA_HOME": str(tmp_path_factory.mktemp("stack")),
            **{port_variable(service): str(free_port()) for service in SERVICES},
        }

        async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", "from libs.cli import main; main()", *arguments]
            return await asyncio.to_thread(
                subprocess.run, command, env=environment, capture_output=True, text=True, timeout=DEMO_MAX_S, check=False
            )

        yield run
        await run("down")


async def test_the_bills_of_all_customers_equal_the_published_charges_but_for_25_cents(tarifa: Tarifa):
    told = await tarifa("demo", "--customers", "all", "--json")
    assert told.returncode == 0, told.stderr
    figures = json.loads(told.stdout, parse_float=Decimal)
    speeds = {figures.pop("usages_per_s"), figures.pop("bills_per_s")}
    assert figures == {
        "customers": 2_666,
        "usages": 812_883,
        "lines": 10_664,
        "lines_equal": 10_639,
        "lines_off_by_one_cent": 25,
        "total": Decimal("158261.09"),
    }
    assert all(speed > 0 for speed in speeds)


async def test_a_second_demo_opens_customers_of_its_own_and_is_as_right(tarifa: Tarifa):
    for seed in ("1", "2"):
        told = await tarifa("demo", "--customers", "3", "--seed", seed, "--json")
        assert told.returncode == 0, told.stderr
        figures = json.loads(told.stdout)
        assert (figures["customers"], figures["lines"], figures["lines_equal"]) == (3, 12, 12)


async def test_the_demo_tells_its_figures_and_ends_with_places_to_look_at(tarifa: Tarifa):
    told = await tarifa("demo", "--customers", "2")
    assert told.returncode == 0, told.stderr
    assert "8 of 8 bill lines equal the published charge" in told.stdout
    assert "bill on demand: inProgress after" in told.stderr
    assert "bill on demand: done after" in told.stderr
    (pdf,) = (line.split("also in ")[1] for line in told.stderr.splitlines() if "also in " in line)
    assert Path(pdf).read_bytes().startswith(b"%PDF")
    for place in ("/docs", "/customerBill/", "/billDocument/", "/health/ready", "/metrics"):
        assert place in told.stderr
