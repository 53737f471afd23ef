"""Backup of all databases at one instant with the offsets of all consumer groups, and the way back.

Offsets are read first, then everything is read as of one cluster time. A handler stores before it commits, so the databases
hold at least what was committed. What they hold beyond it is answered again after the restore, as after a crash.
"""

from libs.backup.errors import BackupError

__all__ = ["BackupError"]
