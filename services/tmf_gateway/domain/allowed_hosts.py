"""The hosts under which the gateway may be asked.

A page of the internet can make a browser ask a service inside by giving its own name the address of that service (DNS
rebinding). The browser then names the page's host. So the Host header must be one that no stranger can own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

ANY = "*"


@dataclass(frozen=True)
class AllowedHosts:
    """`patterns` are host names, `*.example.com` for all below one, or `*`. Without any, the gateway answers to the host of its
    public address, to IP addresses, and to names without a dot such as localhost or those of a Docker network."""

    public_base_url: str
    patterns: Sequence[str] = ()

    def takes(self, header: str | None) -> bool:
        """Return whether a request with this Host header is answered."""
        host = _host_of(header)
        if host is None:
            return False
        if self.patterns:
            return any(_matches(host, pattern.lower()) for pattern in self.patterns)
        return host == _host_of(urlsplit(self.public_base_url).netloc) or "." not in host or _is_address(host)


def _host_of(header: str | None) -> str | None:
    """Return the host of a Host header without its port; None when it names none."""
    try:
        parts = urlsplit(f"//{header or ''}")
        # Reading the port is what checks it.
        has_host = parts.port is None or parts.port >= 0
    except ValueError:
        return None
    if not has_host or parts.path or parts.query or parts.fragment or "@" in parts.netloc or not parts.hostname:
        return None
    return parts.hostname.rstrip(".") or None


def _matches(host: str, pattern: str) -> bool:
    return pattern in (ANY, host) or (pattern.startswith("*.") and host.endswith(pattern[1:]))


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
