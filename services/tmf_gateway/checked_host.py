"""ASGI middleware that answers only requests which name the gateway's own hosts."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.tmf_gateway.domain.allowed_hosts import AllowedHosts

# Probes and scrapers name a host in ways of their own, and what they read is no customer's.
_UNCHECKED = ("/health/", "/metrics")


class CheckedHost:
    """Refuses a request whose Host header the gateway does not answer to."""

    def __init__(self, app: ASGIApp, hosts: AllowedHosts, refuse: Callable[[str], Response]) -> None:
        self._app = app
        self._hosts = hosts
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(_UNCHECKED):
            host = Headers(scope=scope).get("host")
            if not self._hosts.takes(host):
                await self._refuse(host or "")(scope, receive, send)
                return
        await self._app(scope, receive, send)
