"""Whether the gateway may let a subscriber name a callback: by the addresses to which its host leads now."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from libs.callback_addresses import Network, refusal
from services.tmf_gateway.domain.refusal import BadRequest

LOOK_UP_S = 2.0


async def check_callback(callback: str, allowed: Sequence[Network]) -> None:
    """Raises BadRequest when notifications would refuse to call there. A name that leads nowhere yet may do so later."""
    host = urlsplit(callback).hostname
    try:
        async with asyncio.timeout(LOOK_UP_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise BadRequest(f"callback: {host} is no host name") from None
    except (OSError, TimeoutError):
        return
    for address in {str(sockaddr[0]) for *_, sockaddr in found}:
        reason = refusal(ip_address(address.partition("%")[0]), allowed)
        if reason is not None:
            raise BadRequest(f"callback: {host} leads inside: {reason}; events are sent to public addresses, or to HUB_ALLOWED_NETWORKS")
