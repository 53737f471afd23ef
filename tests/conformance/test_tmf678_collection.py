"""The TMF678 v4 conformance collection, run by newman against the gateway with everything behind it, over real HTTP."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn

from libs.devstack import free_port
from libs.devstack.newman import newman_command
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from tests.world import World, build_service

COLLECTION = Path(__file__).with_name("TMF678-v4.postman_collection.json")
# What a bill on demand needs, from its request to its end.
SERVICES = ("rating", "invoicing", "ledger", "on_demand_bill", "tmf_gateway")


@pytest.fixture(scope="session")
async def newman() -> list[str]:
    """The words that run newman."""
    return await newman_command()


@pytest.fixture
async def world(settings: RuntimeSettings) -> AsyncIterator[tuple[World, str]]:
    """The services behind TMF678 and the gateway on a port of its own."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as stack:
        services = {
            name: build_service(
                name, settings, **({"public_base_url": url, "hub_allowed_networks": "127.0.0.0/8"} if name == "tmf_gateway" else {})
            )
            for name in SERVICES
        }
        await asyncio.gather(*(stack.enter_async_context(service.running()) for service in services.values()))
        server = uvicorn.Server(uvicorn.Config(services["tmf_gateway"].http, port=port, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve())
        lag = await stack.enter_async_context(lag_reader(settings))
        gateway = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
        yield World(settings, services, lag, gateway), url
        server.should_exit = True
        await serving


async def run(newman: list[str], url: str, account_id: str, report: Path) -> dict:
    """One run of the collection; newman's own report of it."""
    process = await asyncio.create_subprocess_exec(
        *newman,
        "run",
        str(COLLECTION),
        *("--env-var", f"baseUrl={url}/tmf-api/customerBillManagement/v4"),
        *("--env-var", f"billingAccountId={account_id}"),
        *("--reporters", "json", "--reporter-json-export", str(report)),
        env={**os.environ, "NO_UPDATE_NOTIFIER": "1"},
    )
    await process.wait()
    return json.loads(report.read_text())["run"]


async def test_the_collection_passes_twice_in_a_row_on_the_same_data(world, newman, tmp_path, record_property):
    story, url = world
    ada = await story.customer("Ada")
    await ada.calls(at="2026-03-02 10:00", seconds=600, count=3)
    await story.settle()
    assert (await ada.bill_on_demand())["state"] == "done"
    await story.settle()
    await ada.calls(at="2026-03-03 10:00", seconds=60)
    await story.settle()

    for attempt in (1, 2):
        report = await run(newman, url, ada.account_id, tmp_path / f"{attempt}.json")
        failures = [f"{failure['source'].get('name', '')}: {failure['error']['message']}" for failure in report["failures"]]
        assert failures == []
        assert report["stats"]["assertions"]["total"] > 100
        record_property(f"run {attempt} ms", report["timings"]["completed"] - report["timings"]["started"])
        await story.settle()
