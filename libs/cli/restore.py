"""`tarifa restore`: a backup put back, and what the services had published since adopted from Kafka."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from libs.backup import BackupError
from libs.backup.key import read_key
from libs.backup.manifest import Manifest, read_manifest
from libs.backup.restore import Restored, restore
from libs.cli.backup import KeyFile
from libs.cli.document_progress import document_progress
from libs.cli.errors import CommandError
from libs.devstack.settings import PROJECT_ROOT, SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.adoption import RESTORES
from libs.runtime.mongo import connect

app = typer.Typer()
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@app.command("restore")
def restore_command(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A backup.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Drop the databases that are there.")] = False,
    key_file: KeyFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
) -> None:
    """Restore a backup, then adopt from Kafka what the services had published since.

    All databases and the offsets of all groups are set back. No service may run meanwhile. Bills keep their legal numbers and
    what was created over HTTP comes back, as far as Kafka still holds it. What cannot be brought back is listed at the end.
    """
    settings = running_settings()
    try:
        key = read_key(key_file) if key_file is not None else None
        manifest = read_manifest(directory, key)
        with document_progress() as bars:
            restored = asyncio.run(restore(settings, directory, manifest, bars, key=key, overwrite=overwrite))
    except BackupError as error:
        raise CommandError(error.problem, error.remedy) from None
    for service in SERVICES:
        progress.print(f"{service} adopts what it had published since {manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC")
        _adopt(service, settings)
    told = _as_json(manifest, restored, asyncio.run(_reports(settings)))
    if as_json:
        result.print_json(json.dumps(told))
    else:
        _tell_people(told)


def _adopt(service: str, settings: RuntimeSettings) -> None:
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers,
        "MONGODB_URL": settings.mongodb_url,
        "TARIFA_NAMESPACE": settings.namespace,
    }
    command = [sys.executable, "-m", f"services.{service}", "adopt"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CommandError(
            f"{service} could not adopt what it had published: {(done.stderr or done.stdout).strip().splitlines()[-1:]}",
            "mend that and start the service: it adopts before its first message",
        )


async def _reports(settings: RuntimeSettings) -> dict[str, dict[str, Any]]:
    client = connect(settings)
    try:
        found = {service: await client[settings.database(service)][RESTORES].find_one({}) for service in SERVICES}
    finally:
        await client.close()
    return {service: report for service, report in found.items() if report is not None}


def _as_json(manifest: Manifest, restored: Restored, reports: dict[str, dict[str, Any]]) -> dict[str, Any]:
    lost = [f"{service}: {loss}" for service, report in reports.items() for loss in report.get("lost", ())]
    return {
        "backup": manifest.id,
        "taken_at": manifest.taken_at.isoformat(timespec="seconds"),
        "documents": restored.document_count,
        "adopted": {service: report.get("counts", {}) for service, report in reports.items()},
        "not_brought_back": [*restored.lost, *lost],
    }


def _tell_people(told: dict[str, Any]) -> None:
    result.print(f"restored {told['documents']:,} documents of {told['taken_at']}", soft_wrap=True)
    for service, counts in told["adopted"].items():
        adopted = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
        result.print(f"{service} adopted {adopted or 'nothing'}", soft_wrap=True)
    for loss in told["not_brought_back"]:
        result.print(f"not brought back: {loss}", markup=False, soft_wrap=True)
    if not told["not_brought_back"]:
        result.print("everything that Kafka holds was brought back")
    progress.print("start the services with `tarifa up`; once they have caught up, `tarifa audit` compares everything")
