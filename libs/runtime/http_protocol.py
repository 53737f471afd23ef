"""HTTP/1.1 with bounds: a client that sends half a request, or one without end, loses its connection and nothing else.

uvicorn bounds neither the time that a request may take to arrive nor, with httptools, the size of its head.
"""

import asyncio
import json
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

# From the first byte of a request, or from the connection, to its last byte.
REQUEST_ARRIVES_S = 30.0
# A client must close an idle connection before the server does: else its next request may meet the end of the connection, and whether a
# POST was handled is then unknown. Clients and proxies keep connections for 5 to 60 s; uvicorn's own 5 s are those of httpx.
KEPT_IDLE_S = 75.0
# The request line and all headers.
HEAD_BYTES_MAX = 65_536
_REASONS = {408: "Request timeout", 431: "Request header fields too large"}


class BoundedHttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol; each request arrives within `request_arrives_s` and its head has at most HEAD_BYTES_MAX bytes."""

    request_arrives_s = REQUEST_ARRIVES_S
    kept_idle_s = KEPT_IDLE_S

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._arriving: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_head_open = True
        self._is_refused = False
        self.timeout_keep_alive = self.kept_idle_s  # type: ignore[assignment]
        super().connection_made(transport)
        self._begin_arriving()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_arriving()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        super().data_received(data)
        # A header without an end is not told of until it ends.
        if self._is_head_open and not self._is_refused:
            self._head_bytes += len(data)
            self._check_head()

    def on_message_begin(self) -> None:
        self._begin_arriving()
        self._head_bytes = 0
        self._is_head_open = True
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._head_bytes += len(name) + len(value)

    def on_headers_complete(self) -> None:
        self._is_head_open = False
        self._check_head()
        if self._is_refused:
            # Ends the parsing of what came with the head.
            raise httptools.HttpParserError("the head of the request is too large")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._end_arriving()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if not self._is_refused:
            super().send_400_response(msg)

    def _check_head(self) -> None:
        if self._head_bytes > HEAD_BYTES_MAX:
            self._refuse(431, f"the request line and the headers have more than {HEAD_BYTES_MAX} bytes")

    def _begin_arriving(self) -> None:
        if self._arriving is None:
            self._arriving = self.loop.call_later(self.request_arrives_s, self._is_late)

    def _end_arriving(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _is_late(self) -> None:
        self._arriving = None
        self._refuse(408, f"the request did not arrive within {self.request_arrives_s:g} s")

    def _refuse(self, status: int, message: str) -> None:
        self._is_refused = True
        if self.transport is None or self.transport.is_closing():
            return
        cycle = self.cycle
        is_its_own = cycle is not None and cycle.scope is self.scope
        # An answer that has begun, or one to the request before, must not be mixed with another.
        is_free = cycle is None or (not cycle.response_started if is_its_own else cycle.response_complete)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if is_free and self.scope is not None:
            self.transport.write(_response(status, message))
        self.transport.close()


def _response(status: int, message: str) -> bytes:
    error: dict[str, Any] = {"code": str(status), "reason": _REASONS[status], "message": message, "status": str(status), "@type": "Error"}
    body = json.dumps(error).encode()
    headers = b"content-type: application/json;charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    return STATUS_LINE[status] + headers + body
