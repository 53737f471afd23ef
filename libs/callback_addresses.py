"""Where callbacks of subscribers may lead: only to the public internet, unless the settings allow a network.

The gateway refuses a subscription whose callback leads elsewhere; notifications looks again each time it connects.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_SHARED_BY_CARRIERS = IPv4Network("100.64.0.0/10")
# Well-known prefix of NAT64: its last 32 bits are the IPv4 address that is really reached.
_NAT64 = IPv6Network("64:ff9b::/96")


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


# A setting such as HUB_ALLOWED_NETWORKS: networks separated by commas.
AllowedNetworks = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks)]


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
