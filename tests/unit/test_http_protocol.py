"""Half a request, a slow one and one with a head without end lose their connection; whole ones are answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from libs.devstack import free_port
from libs.runtime.http_protocol import HEAD_BYTES_MAX, BoundedHttpProtocol

LIMIT_S = 1.0
WAIT_S = 20.0


class _Impatient(BoundedHttpProtocol):
    request_arrives_s = LIMIT_S
    kept_idle_s = LIMIT_S / 2


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """A server that answers with the number of bytes it was sent, and to one path after a pause."""
    app = FastAPI()

    @app.post("/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1.5 * LIMIT_S)
        return "done"

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, http=_Impatient, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await task


async def exchange(port: int, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """Send the parts with pauses, and return what came until the server closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    came = bytearray()
    try:
        async with asyncio.timeout(WAIT_S):
            reading = asyncio.create_task(_read_all(reader, came))
            for part in parts:
                if reading.done():
                    break
                writer.write(part)
                await asyncio.sleep(pause_s)
            await reading
    finally:
        writer.close()
    return bytes(came)


async def _read_all(reader: asyncio.StreamReader, came: bytearray) -> None:
    try:
        while part := await reader.read(65_536):
            came += part
    except ConnectionError:
        # The server was quicker to close than the client to send.
        return


POST = b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(b"", [], id="nothing at all"),
        pytest.param(b"POST /cou", [b"408"], id="half a request line"),
        pytest.param(POST, [b"408"], id="headers without end"),
        pytest.param(POST + b"Content-Length: 10\r\n\r\n12345", [b"408"], id="half a body"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", [b"408"], id="half of the chunks"),
    ],
)
async def test_half_a_request_is_closed_in_time(sent, status):
    async with serving() as port:
        started = time.monotonic()
        answer = await exchange(port, sent)

    assert time.monotonic() - started < WAIT_S / 2
    assert answer.split(b" ")[1:2] == status


@pytest.mark.parametrize("head", [POST + b"Content-Length: 1000\r\n\r\n", POST], ids=["body", "headers"])
async def test_a_request_that_drips_is_closed_in_time(head):
    async with serving() as port:
        started = time.monotonic()
        await exchange(port, head, *[b"a"] * 200, pause_s=0.1)

    assert time.monotonic() - started < WAIT_S / 2


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /" + b"a" * (HEAD_BYTES_MAX + 1) + b" HTTP/1.1\r\nHost: x\r\n\r\n", id="path"),
        pytest.param(POST + b"A: " + b"a" * (HEAD_BYTES_MAX + 1) + b"\r\n\r\n", id="one header"),
        pytest.param(POST + b"A: b\r\n" * HEAD_BYTES_MAX + b"\r\n", id="many headers"),
        pytest.param(POST + b"A: " + b"a" * 4 * HEAD_BYTES_MAX, id="a header without end"),
    ],
)
async def test_a_head_that_is_too_large_is_431(head):
    async with serving() as port:
        started = time.monotonic()
        answer = await exchange(port, *(head[start : start + 16_384] for start in range(0, len(head), 16_384)))

    # A client that still sends may lose the answer with the connection.
    assert answer.split(b" ")[1:2] in ([b"431"], [])
    assert time.monotonic() - started < WAIT_S / 2


async def test_whole_requests_are_answered_on_one_connection_also_slow_answers_and_large_bodies():
    body = b"x" * 1_000_000
    whole = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    async with serving() as port:
        answer = await exchange(port, whole, whole, last, pause_s=0.2)

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"1000000") == 2
    assert answer.endswith(b'"done"')


async def test_an_idle_connection_is_kept_for_longer_than_clients_keep_theirs_and_then_closed():
    async with serving() as port:
        started = time.monotonic()
        answer = await exchange(port, POST + b"Content-Length: 0\r\n\r\n")

    assert answer.split(b" ")[1:2] == [b"200"]
    assert _Impatient.kept_idle_s <= time.monotonic() - started < WAIT_S / 2
    assert BoundedHttpProtocol.kept_idle_s > 10 * (httpx.Limits().keepalive_expiry or 0)
