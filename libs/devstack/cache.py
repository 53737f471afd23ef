"""What is fetched once per machine and version: folders in the user's cache, named by a digest of what they are made from."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from libs.devstack.disk import require_space
from libs.devstack.errors import StackError


def cached_folder(name: str, *made_from: Path) -> Path:
    """Where a folder made from these files is, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()[:12]
    return cache / "tarifa" / f"{name}-{digest}"


async def fill_once(folder: Path, fetch: Callable[[Path], Awaitable[Path]], *, needs_bytes: int) -> Path:
    """Have `fetch(scratch)` bring what `folder` lacks; it returns the folder, inside scratch, that becomes it.

    It appears whole or not at all, also when two do this at once, and when the disk fills meanwhile.
    Raises StackError when the disk is full.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    require_space(folder.parent, needs_bytes)
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _appear(await fetch(Path(scratch)), folder)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StackError(f"the disk of {folder.parent} is full", "make room and run it again: nothing half-fetched was kept") from error
    return folder


def _appear(brought: Path, folder: Path) -> None:
    try:
        brought.rename(folder)
    except OSError:
        # Another process was first.
        if not folder.exists():
            raise
