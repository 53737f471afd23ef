"""Authenticated encryption of a stream: AES-256-GCM over frames, each with its number, the last one marked.

A file begins with MAGIC and a salt, from which its own key is derived together with its name. A frame that is changed, moved,
left out or taken from another file does not decrypt. Neither does a file that was cut off.
"""

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.backup.errors import BackupError

MAGIC = b"TARIFA-BACKUP-1\n"
SALT_BYTES = 32
FRAME_BYTES = 1 << 20
_LENGTH_BYTES = 4
_TAG_BYTES = 16


def derived_key(key: bytes, salt: bytes, purpose: str) -> bytes:
    """Return the key of one file or one purpose."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=f"tarifa backup {purpose}".encode()).derive(key)


class FrameWriter:
    """Encrypts what is written to it and passes it on to `write`."""

    def __init__(self, key: bytes, name: str, write: Callable[[bytes], object]) -> None:
        salt = os.urandom(SALT_BYTES)
        self._cipher = AESGCM(derived_key(key, salt, name))
        self._write_out = write
        self._waiting = bytearray()
        self._number = 0
        write(MAGIC + salt)

    def write(self, data: bytes) -> None:
        """Encrypt all whole frames. One stays back, because the last must be marked."""
        self._waiting += data
        while len(self._waiting) > FRAME_BYTES:
            self._frame(bytes(self._waiting[:FRAME_BYTES]), is_last=False)
            del self._waiting[:FRAME_BYTES]

    def finish(self) -> None:
        """Encrypt the rest as the last frame."""
        self._frame(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _frame(self, data: bytes, *, is_last: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._number, is_last=is_last), data, None)
        self._number += 1
        self._write_out(len(sealed).to_bytes(_LENGTH_BYTES, "big") + sealed)


def decrypted(key: bytes, name: str, source: BinaryIO) -> Iterator[bytes]:
    """Yield what was encrypted, frame by frame. Raises BackupError for a wrong key or a changed file."""
    if source.read(len(MAGIC)) != MAGIC:
        raise BackupError(f"{name} is not encrypted as the manifest says", "the backup is damaged: use another one")
    cipher = AESGCM(derived_key(key, source.read(SALT_BYTES), name))
    number, is_last = 0, False
    sealed = _read_frame(source)
    while not is_last:
        following = _read_frame(source)
        is_last = not following
        try:
            yield cipher.decrypt(_nonce(number, is_last=is_last), sealed, None)
        except InvalidTag:
            raise BackupError(f"{name} does not decrypt", "it was changed or cut off, or this is another backup's key") from None
        number, sealed = number + 1, following


def _read_frame(source: BinaryIO) -> bytes:
    length = int.from_bytes(source.read(_LENGTH_BYTES), "big")
    if length > FRAME_BYTES + _TAG_BYTES:
        raise BackupError(f"a frame claims to have {length} bytes", "the backup is damaged: use another one")
    return source.read(length)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])
