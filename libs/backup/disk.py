"""Files and directories that outlast a power cut: written to the disk before anybody is told that they are there."""

import os
from pathlib import Path
from typing import BinaryIO


def close_synced(file: BinaryIO) -> None:
    """Write what a file still buffers to the disk, and close it."""
    with file:
        file.flush()
        os.fsync(file.fileno())


def write_synced(path: Path, body: bytes) -> None:
    """Write a file to the disk."""
    file = path.open("wb")
    file.write(body)
    close_synced(file)


def move_synced(source: Path, target: Path) -> None:
    """Give a directory of synced files its final name. Either it is there whole after a power cut, or it is not there."""
    for directory in (*(path for path in source.rglob("*") if path.is_dir()), source):
        _sync_directory(directory)
    source.rename(target)
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
