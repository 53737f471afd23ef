"""One HTTP/1.1 connection that is kept, as lean as can be: on two cores a client's own work would be measured as the server's."""

import asyncio
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Answer:
    """Status and body of an answer."""

    status: int
    body: bytes


class Connection:
    """Asks one thing at a time. Understands answers with a Content-Length, which the gateway's have."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send a request with a JSON body, if any, and wait for its answer. Raises asyncio.IncompleteReadError when cut off."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = next((int(line.partition(b":")[2]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        return Answer(int(lines[0].split(b" ")[1]), await self._reader.readexactly(length))
