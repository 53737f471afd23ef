"""Room on the disk, asked for before something is written that would otherwise break off in the middle."""

import shutil
from pathlib import Path

from libs.devstack.errors import StackError

_MEGABYTE = 1_000_000
# What Kafka and MongoDB write in a demo, most of it MongoDB's journal; with less a server stops in the middle of it.
SERVERS_BYTES = 400_000_000


def require_space(folder: Path, needs_bytes: int) -> None:
    """Raise StackError when the disk of an existing folder has less room than `needs_bytes`."""
    free = shutil.disk_usage(folder).free
    if free < needs_bytes:
        raise StackError(
            f"{folder} needs {needs_bytes // _MEGABYTE} MB of its disk and {free // _MEGABYTE} MB are free", "make room and run it again"
        )
