"""Posting to callbacks: judges every address that a name resolves to, and connects to the address that it judged.

The judging sits below HTTP, where connections are made: what a name resolves to cannot change between judgement and
connection, TLS still checks the name, and proxies of the environment are not asked. Redirects are not followed.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address

import httpcore
import httpx

from libs.callback_addresses import Network, refusal
from services.notifications.domain.callback import CallbackRefused
from services.notifications.domain.delivery import Attempt

# Read so far to keep the connection; a subscriber that says more is cut off.
RESPONSE_BYTES_MAX = 64 * 1024
# Per address, so that a host with one dead address of several is still reached within the time limit.
CONNECT_TIMEOUT_S = 3.0
IDLE_CONNECTIONS_MAX = 100
IDLE_CONNECTION_S = 30.0


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to allowed addresses only."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed
        self._tcp = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises CallbackRefused when any address of the host is refused: half a trap is a trap."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise CallbackRefused(f"the callback's host {host} is no host name: {error}") from None
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        for address in addresses:
            reason = refusal(ip_address(address), self._allowed)
            if reason is not None:
                raise CallbackRefused(f"the callback's host {host} leads inside: {reason}; HUB_ALLOWED_NETWORKS can allow it")
        return await self._connect_to_first(addresses, port, timeout, local_address, socket_options)

    async def _connect_to_first(self, addresses: list[str], port: int, *args) -> httpcore.AsyncNetworkStream:
        *others, last = addresses
        for address in others:
            try:
                return await self._tcp.connect_tcp(address, port, *args)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._tcp.connect_tcp(last, port, *args)

    async def sleep(self, seconds: float) -> None:
        """Required by httpcore."""
        await asyncio.sleep(seconds)


class CallbackClient:
    """Connections to all subscribers. The pool has no bound of its own: a dead subscriber must not use up others' places."""

    def __init__(self, allowed: Sequence[Network], timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl.create_default_context(),
            max_connections=None,
            max_keepalive_connections=IDLE_CONNECTIONS_MAX,
            keepalive_expiry=IDLE_CONNECTION_S,
            network_backend=CheckedNetwork(allowed),
        )

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Try once, within the time limit as a whole. Raises CallbackRefused when the callback may never be called."""
        at, started = datetime.now(UTC), time.perf_counter()
        status, error = None, None
        try:
            async with asyncio.timeout(self.timeout_s):
                status = await self._status(url, body, headers)
        except TimeoutError:
            error = f"no answer within {self.timeout_s:g} s"
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as fault:
            error = f"{type(fault).__name__}: {fault}"
        return Attempt(at=at, duration_ms=int((time.perf_counter() - started) * 1000), status=status, error=error)

    async def close(self) -> None:
        """Drop all connections."""
        await self._pool.aclose()

    async def _status(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise CallbackRefused(f"the callback is not a URL: {error}") from None
        target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
        timeouts = {"timeout": {"connect": CONNECT_TIMEOUT_S}}
        async with self._pool.stream("POST", target, headers=list(headers.items()), content=body, extensions=timeouts) as response:
            read_bytes = 0
            async for chunk in response.aiter_stream():
                read_bytes += len(chunk)
                if read_bytes > RESPONSE_BYTES_MAX:
                    break
            return response.status
