"""The key of an encrypted backup: 32 random bytes, kept in a file as base64."""

import base64
import binascii
from pathlib import Path

from libs.backup.errors import BackupError

KEY_BYTES = 32
_MAKE_ONE = "make one with `openssl rand -base64 32 > FILE` and keep it apart from the backup"


def read_key(path: Path) -> bytes:
    """Return the key in a file. Raises BackupError."""
    try:
        key = base64.b64decode(path.read_text(encoding="ascii").strip(), validate=True)
    except OSError as error:
        raise BackupError(f"the key file {path} cannot be read: {error.strerror}", _MAKE_ONE) from None
    except (binascii.Error, ValueError):
        raise BackupError(f"the key file {path} is not base64", _MAKE_ONE) from None
    if len(key) != KEY_BYTES:
        raise BackupError(f"the key in {path} has {len(key)} bytes and must have {KEY_BYTES}", _MAKE_ONE)
    return key
