"""TCP ports on this machine: finding free ones, and saying who is in the way when one is taken."""

import random
import socket
from dataclasses import dataclass

import psutil

from libs.devstack.errors import StackError

LOOPBACK = "127.0.0.1"
FREE_PORTS = range(20_000, 30_000)


@dataclass(frozen=True)
class PortUse:
    """A port that somebody needs, and the environment variable that moves it."""

    number: int
    needed_by: str
    variable: str


# Held until this process ends: a datagram socket on the same number, which keeps no server from its port, says that the port is promised.
_promised: list[socket.socket] = []


def free_port() -> int:
    """Return a port that nobody listens on, and that no other call gets while this process lives, in whatever process.

    Below the kernel's ephemeral range: there, an outgoing connection could take the port while its server restarts.
    """
    while True:
        number = random.choice(FREE_PORTS)
        promise = socket.socket(type=socket.SOCK_DGRAM)
        try:
            promise.bind((LOOPBACK, number))
            with socket.socket() as probe:
                probe.bind((LOOPBACK, number))
        except OSError:
            promise.close()
            continue
        _promised.append(promise)
        return number


def require_free(use: PortUse) -> None:
    """Raise StackError, naming the one who listens there, when the port is taken."""
    with socket.socket() as probe:
        # As servers do: connections that linger in TIME_WAIT do not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, use.number))
        except OSError:
            raise StackError(
                f"port {use.number}, which {use.needed_by} needs, is taken{_listener(use.number)}",
                f"stop that, or choose another port with {use.variable}",
            ) from None


def _listener(port: int) -> str:
    try:
        connections = psutil.net_connections("tcp")
        pids = {c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port and c.pid}
        return "".join(f" by {psutil.Process(pid).name()} (pid {pid})" for pid in sorted(pids))
    except psutil.Error:
        return ""
