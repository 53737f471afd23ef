"""/docs in a browser: every operation with its real parameters, no error on the console, nothing asked of another host."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright

from libs.devstack import free_port
from libs.runtime import RuntimeSettings
from services.tmf_gateway.domain.openapi import openapi_document
from tests.world import build_service

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
# Not this machine's own name: what a page asks of others it asks only where it is not being developed.
HOST = "gateway.example"

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no browser on the PATH: apt-get install -y chromium")


@pytest.fixture
async def gateway() -> AsyncIterator[str]:
    """The address of a gateway whose pages are served; they need neither Kafka nor MongoDB."""
    port = free_port()
    service = build_service("tmf_gateway", RuntimeSettings(), public_base_url=f"http://{HOST}:{port}")
    server = uvicorn.Server(uvicorn.Config(service.http, port=port, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    try:
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        await serving
        await service.client.close()


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        mapped = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", mapped])
        yield await browser.new_page()
        await browser.close()


async def test_the_documentation_shows_every_operation_and_asks_nothing_of_another_host(gateway: str, page: Page) -> None:
    told: list[str] = []
    asked: set[str | None] = set()
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))

    await page.goto(f"{gateway}/docs")
    await page.locator(".opblock").first.wait_for()
    summaries = await page.locator(".opblock-summary").all()
    shown = {
        (
            await summary.locator(".opblock-summary-method").inner_text(),
            (await summary.locator(".opblock-summary-path").inner_text()).replace("\u200b", ""),
        )
        for summary in summaries
    }
    await summaries[0].click()
    names = page.locator(".opblock.is-open .parameter__name")
    await names.first.wait_for()
    parameters = await names.all_inner_texts()

    document = openapi_document(gateway)
    paths = document["paths"]
    assert shown == {(method.upper(), path) for path, operations in paths.items() for method in operations}
    assert parameters == [parameter["name"] for parameter in next(iter(paths.values()))["get"]["parameters"]]
    assert (told, asked) == ([], {HOST})
