"""The manifest of a backup: which collections, how many documents, the checksum of each file, and where every group stood.

`manifest.json` is sealed by `manifest.seal`: its SHA-256, or a message authentication code when the backup has a key.
"""

import hashlib
import hmac
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from libs.backup.cipher import derived_key
from libs.backup.disk import write_synced
from libs.backup.errors import BackupError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
SEAL = "manifest.seal"
_DAMAGED = "the backup is damaged or was changed: use another one"


class Part(BaseModel):
    """A value inside the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectionCopy(Part):
    """One collection in its file."""

    service: str
    collection: str
    file: str
    document_count: int
    byte_count: int
    sha256: str


class Position(Part):
    """An offset in a partition; `topic` is without the namespace."""

    topic: str
    partition: int
    offset: int


class GroupPosition(Part):
    """The offsets that a group had committed; `group` is without the namespace."""

    group: str
    committed: tuple[Position, ...]


class Manifest(Part):
    """Everything about a backup but the documents.

    `ends` are the ends of all topics, read before the instant `taken_at`: what was published before them is in the databases.
    """

    format_version: int = FORMAT_VERSION
    id: str
    taken_at: datetime
    cluster_time: str
    mongodb_version: str
    is_encrypted: bool
    collections: tuple[CollectionCopy, ...]
    groups: tuple[GroupPosition, ...]
    ends: tuple[Position, ...]

    @property
    def document_count(self) -> int:
        """The documents of all collections."""
        return sum(copy.document_count for copy in self.collections)


def write_manifest(directory: Path, manifest: Manifest, key: bytes | None) -> None:
    """Write the manifest and its seal."""
    body = manifest.model_dump_json(indent=1).encode()
    write_synced(directory / MANIFEST, body)
    write_synced(directory / SEAL, f"{_seal(body, key)}\n".encode("ascii"))


def read_manifest(directory: Path, key: bytes | None) -> Manifest:
    """Return the manifest of a backup. Raises BackupError when it is missing, changed, or sealed by another key."""
    try:
        body = (directory / MANIFEST).read_bytes()
        seal = (directory / SEAL).read_text(encoding="ascii").strip()
    except OSError as error:
        problem = f"{directory} holds no whole backup: {error.strerror} ({error.filename})"
        raise BackupError(problem, "name the directory of a backup") from None
    try:
        manifest = Manifest.model_validate_json(body)
    except ValidationError as error:
        raise BackupError(f"{directory / MANIFEST} cannot be read: {error.error_count()} faults", _DAMAGED) from None
    if manifest.format_version != FORMAT_VERSION:
        raise BackupError(f"the backup has format {manifest.format_version}", f"this Tarifa reads format {FORMAT_VERSION}")
    if manifest.is_encrypted and key is None:
        raise BackupError("the backup is encrypted", "give its key with --key-file")
    if not hmac.compare_digest(seal, _seal(body, key if manifest.is_encrypted else None)):
        raise BackupError(f"{MANIFEST} does not fit its seal", "it was changed, or this is another backup's key")
    return manifest


def _seal(body: bytes, key: bytes | None) -> str:
    if key is None:
        return hashlib.sha256(body).hexdigest()
    return hmac.new(derived_key(key, b"", MANIFEST), body, hashlib.sha256).hexdigest()
