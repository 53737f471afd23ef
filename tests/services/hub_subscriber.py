"""A subscriber to the hub: a real HTTP server on a free port that remembers what it was sent and answers as told."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from tests.world import WAIT_S


@dataclass(frozen=True)
class Received:
    """One POST."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        """The eventId of the envelope."""
        return json.loads(self.body)["eventId"]


@dataclass
class Answer:
    """What the subscriber answers, after holding the request back until `gate` is set, when there is one."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None


class Subscriber:
    """`answer` decides per request; `received` lists all, also the refused ones."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.received: list[Received] = []
        self.answer: Callable[[Received], Answer] = lambda _: Answer()

    def event_ids(self) -> list[str]:
        """What arrived, in order of arrival."""
        return [received.event_id for received in self.received]

    async def gets(self, count: int) -> list[Received]:
        """Wait until so many POSTs arrived."""
        deadline = time.monotonic() + WAIT_S
        while len(self.received) < count:
            assert time.monotonic() < deadline, f"{len(self.received)} of {count} arrived: {self.event_ids()}"
            await asyncio.sleep(0.02)
        return self.received

    async def gets_all(self, event_ids: set[str]) -> None:
        """Wait until each of these arrived at least once."""
        deadline = time.monotonic() + WAIT_S
        while missing := event_ids.difference(self.event_ids()):
            assert time.monotonic() < deadline, f"{len(missing)} never arrived, such as {min(missing)}"
            await asyncio.sleep(0.05)

    async def __call__(self, scope: dict[str, Any], receive: Callable, send: Callable) -> None:
        """ASGI."""
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                # The sender died within the request: nothing was received.
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        path = scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        received = Received(path, {name.decode(): value.decode() for name, value in scope["headers"]}, body)
        self.received.append(received)
        answer = self.answer(received)
        if answer.gate is not None:
            await answer.gate.wait()
        headers = [(name.encode(), value.encode()) for name, value in answer.headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": [(b"content-length", b"0"), *headers]})
        await send({"type": "http.response.body"})


@asynccontextmanager
async def listening() -> AsyncIterator[Subscriber]:
    """A subscriber that listens until the end of the block."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        subscriber = Subscriber(sock.getsockname()[1])
        server = uvicorn.Server(uvicorn.Config(subscriber, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield subscriber
        finally:
            server.should_exit = True
            await serving
