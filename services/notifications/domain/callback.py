"""Where a callback may lead: only to the public internet, unless the settings allow a network.

A subscriber names the URL that we call from inside the operator's network, so an unchecked callback would let anybody
reach what only we can reach (server-side request forgery). Names are judged by every address that they resolve to.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SHARED_BY_CARRIERS = IPv4Network("100.64.0.0/10")
# Well-known prefix of NAT64: its last 32 bits are the IPv4 address that is really reached.
_NAT64 = IPv6Network("64:ff9b::/96")


class CallbackRefused(Exception):
    """The callback may never be called; the message says why."""


def delivery_url(callback: str, event_type: str, verbatim: bool) -> str:
    """The URL to POST an event to: `<callback>/listener/customerBillCreateEvent`, or the callback as it is.

    Raises CallbackRefused for what is not a plain http or https URL.
    """
    try:
        parts = urlsplit(callback)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise CallbackRefused(f"the callback is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CallbackRefused("the callback is not an http or https URL")
    if "@" in parts.netloc:
        raise CallbackRefused("the callback carries credentials, which would end up in logs: use the signature instead")
    if verbatim:
        return callback
    listener = f"{parts.path.rstrip('/')}/listener/{event_type[:1].lower()}{event_type[1:]}"
    return parts._replace(path=listener, fragment="").geturl()


def refusal(address: Address, allowed: Sequence[Network]) -> str | None:
    """Why this address may not be called, or None when it may."""
    address = _reached_by(address)
    if any(address in network for network in allowed):
        return None
    kind = _kind_of(address)
    return f"{address} is {kind}" if kind else None


def _reached_by(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind_of(address: Address) -> str | None:
    kinds = (
        (address.is_unspecified, "the unspecified address"),
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address in _SHARED_BY_CARRIERS, "shared by carriers (RFC 6598)"),
        (address.is_private, "a private address"),
        (isinstance(address, IPv6Address) and address.is_site_local, "a site-local address"),
        (address.is_reserved or not address.is_global, "not a public address"),
    )
    return next((kind for holds, kind in kinds if holds), None)
