"""File descriptors: a service raises its limit as far as it may, and refuses to start with fewer than it needs."""

import resource

# Files, logs, clients of the HTTP door and callbacks of subscribers.
NEEDED_BY_A_PROCESS = 192
# PyMongo's pool holds up to 100 connections, and three for its monitors.
NEEDED_BY_MONGODB = 104
# A connection for each of three brokers, one to the group's coordinator, and those that are replaced.
NEEDED_BY_A_CONSUMER = 8
# More is of no use, and some programs walk through all that they may have.
RAISED_TO_MAX = 65_536


class TooFewDescriptors(Exception):
    """The process may open fewer files than it needs; the message says how many, and how to allow them."""


def needed_descriptors(consumer_count: int) -> int:
    """Return how many file descriptors a service with so many consumers needs."""
    return NEEDED_BY_A_PROCESS + NEEDED_BY_MONGODB + NEEDED_BY_A_CONSUMER * consumer_count


def require_descriptors(service: str, needed: int) -> None:
    """Raise the soft limit to the hard one. Raises TooFewDescriptors when that is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = RAISED_TO_MAX if hard == resource.RLIM_INFINITY else min(hard, RAISED_TO_MAX)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft != resource.RLIM_INFINITY and soft < needed:
        raise TooFewDescriptors(
            f"{service} needs {needed} file descriptors and may have {soft}: raise the hard limit (`ulimit -Hn {needed}` as root, "
            f"LimitNOFILE= of systemd, `ulimits: nofile` of Docker compose)"
        )
