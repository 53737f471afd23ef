"""Verifying a backup: every file is there, has its checksum, decrypts, decompresses, and holds as many documents as counted."""

from collections.abc import Callable
from pathlib import Path

from libs.backup.collection_file import file_sha256, read_documents
from libs.backup.errors import BackupError
from libs.backup.manifest import CollectionCopy, Manifest

_DAMAGED = "the backup is damaged: use another one"


def verify(directory: Path, manifest: Manifest, key: bytes | None, advance: Callable[[int], None]) -> None:
    """Read all of it; `advance` is told the documents of each file. Raises BackupError at the first fault."""
    for copy in manifest.collections:
        _verify_file(directory, copy, key)
        advance(copy.document_count)


def _verify_file(directory: Path, copy: CollectionCopy, key: bytes | None) -> None:
    path = directory / copy.file
    if file_sha256(path) != copy.sha256:
        raise BackupError(f"{copy.file} has another checksum than the manifest says", _DAMAGED)
    count = sum(1 for _ in read_documents(path, copy.file, key))
    if count != copy.document_count:
        raise BackupError(f"{copy.file} holds {count} documents, and {copy.document_count} were written", _DAMAGED)
