"""What is fetched once per machine and version: folders in the user's cache, named by a digest of what they are made from."""

import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path


def cached_folder(name: str, *made_from: Path) -> Path:
    """Where a folder made from these files is, or will be."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in made_from)).hexdigest()[:12]
    return cache / "tarifa" / f"{name}-{digest}"


async def fill_once(folder: Path, fetch: Callable[[Path], Awaitable[Path]]) -> Path:
    """Have `fetch(scratch)` bring what `folder` lacks; it returns the folder, inside scratch, that becomes it.

    It appears whole or not at all, also when two do this at once.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        brought = await fetch(Path(scratch))
        try:
            brought.rename(folder)
        except OSError:
            # Somebody else was first.
            if not folder.exists():
                raise
    return folder
