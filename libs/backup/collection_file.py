"""The file of one collection: its documents as BSON, one after the other, compressed, and encrypted when there is a key."""

import hashlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from libs.backup.cipher import FrameWriter, decrypted
from libs.backup.disk import close_synced
from libs.backup.errors import BackupError

# Level 1 takes a quarter of the time of level 6 and leaves a sixth more.
COMPRESSION_LEVEL = 1
READ_BYTES = 1 << 20
_LENGTH_BYTES = 4
_GZIP = 31


class CollectionWriter:
    """Writes documents; `document_count`, `byte_count` and `sha256` describe the file once it is finished."""

    def __init__(self, path: Path, name: str, key: bytes | None) -> None:
        self.document_count = 0
        self.byte_count = 0
        self._file = path.open("wb")
        self._digest = hashlib.sha256()
        self._compressor = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, _GZIP)
        self._frames = FrameWriter(key, name, self._write_out) if key is not None else None

    def write(self, documents: bytes) -> None:
        """Append whole documents, one after the other."""
        self.document_count += sum(1 for _ in documents_in(documents))
        self._write_compressed(self._compressor.compress(documents))

    def finish(self) -> None:
        """Write what is left to the disk and close the file."""
        self._write_compressed(self._compressor.flush())
        if self._frames is not None:
            self._frames.finish()
        close_synced(self._file)

    @property
    def sha256(self) -> str:
        """The checksum of the file as it lies on disk."""
        return self._digest.hexdigest()

    def _write_compressed(self, data: bytes) -> None:
        if self._frames is not None:
            self._frames.write(data)
        else:
            self._write_out(data)

    def _write_out(self, data: bytes) -> None:
        self._digest.update(data)
        self.byte_count += len(data)
        self._file.write(data)


def file_sha256(path: Path) -> str:
    """The checksum of a file. Raises BackupError when it is not there."""
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror}", "the backup is not whole: use another one") from None


def read_documents(path: Path, name: str, key: bytes | None) -> Iterator[bytes]:
    """Yield each document of a file. Raises BackupError where it is damaged."""
    with path.open("rb") as source:
        unread = bytearray()
        for data in _decompressed(decrypted(key, name, source) if key is not None else _chunks(source), name):
            unread += data
            whole = 0
            for document in documents_in(memoryview(bytes(unread))):
                whole += len(document)
                yield bytes(document)
            del unread[:whole]
        if unread:
            raise BackupError(f"{name} ends within a document", "the backup is damaged: use another one")


def documents_in(data: bytes | memoryview) -> Iterator[bytes | memoryview]:
    """Yield the whole documents at the beginning of `data`: BSON begins with its length."""
    start, end = 0, len(data)
    while start + _LENGTH_BYTES <= end:
        length = int.from_bytes(data[start : start + _LENGTH_BYTES], "little")
        if start + length > end:
            return
        yield data[start : start + length]
        start += length


def _chunks(source: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: source.read(READ_BYTES), b"")


def _decompressed(compressed: Iterator[bytes], name: str) -> Iterator[bytes]:
    decompressor = zlib.decompressobj(_GZIP)
    try:
        for data in compressed:
            yield decompressor.decompress(data)
    except zlib.error as error:
        raise BackupError(f"{name} does not decompress: {error}", "the backup is damaged: use another one") from None
    if not decompressor.eof:
        raise BackupError(f"{name} was cut off", "the backup is damaged: use another one")
