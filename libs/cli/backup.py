"""`tarifa backup`: all databases at one instant with the offsets of all groups, while the services run."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from libs.backup import BackupError
from libs.backup.key import read_key
from libs.backup.manifest import Manifest, read_manifest
from libs.backup.take import WINDOW_S, take_backup
from libs.backup.verify import verify
from libs.cli.document_progress import document_progress
from libs.cli.errors import CommandError
from libs.devstack.stack import running_settings

app = typer.Typer()
result = Console(highlight=False)

KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file", envvar="TARIFA_BACKUP_KEY_FILE", help="Encrypt with the key in this file (32 bytes, base64).", dir_okay=False
    ),
]


@app.command("backup")
def backup_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that does not exist yet; with --verify, a backup.")],
    verify_only: Annotated[bool, typer.Option("--verify", help="Check the checksums and counts of a backup; take none.")] = False,
    key_file: KeyFile = None,
    window_s: Annotated[
        int, typer.Option(min=1, help="How many seconds of history MongoDB keeps meanwhile: longer than the backup takes.")
    ] = WINDOW_S,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
) -> None:
    """Back up all databases at one instant, with the offsets of all groups. Services go on meanwhile.

    The backup is verified once it is written. Kafka is not in it: keep its topics longer than the longest time between backups.
    """
    try:
        key = read_key(key_file) if key_file is not None else None
        with document_progress() as progress:
            if verify_only:
                manifest = read_manifest(directory, key)
            else:
                manifest = asyncio.run(take_backup(running_settings(), directory, progress, key=key, window_s=window_s))
            progress.begin("documents verified", manifest.document_count)
            verify(directory, manifest, key, progress.advance)
    except BackupError as error:
        raise CommandError(error.problem, error.remedy) from None
    told = _as_json(directory, manifest)
    if as_json:
        result.print_json(json.dumps(told))
        return
    result.print(
        f"{directory}: {told['documents']:,} documents of {told['taken_at']}, {told['bytes']:,} bytes"
        f"{', encrypted' if manifest.is_encrypted else ''}, verified",
        soft_wrap=True,
    )


def _as_json(directory: Path, manifest: Manifest) -> dict[str, Any]:
    return {
        "directory": str(directory),
        "id": manifest.id,
        "taken_at": manifest.taken_at.isoformat(timespec="seconds"),
        "documents": manifest.document_count,
        "bytes": sum(copy.byte_count for copy in manifest.collections),
        "encrypted": manifest.is_encrypted,
        "collections": {f"{copy.service}.{copy.collection}": copy.document_count for copy in manifest.collections},
        "groups": len(manifest.groups),
        "verified": True,
    }
