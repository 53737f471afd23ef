"""`tarifa gaps`: messages that Kafka deleted before a handler had read them.

The `gaps` collections are only read here; closing one is a fact that the gap's own service acts on.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from libs.cli.conversation import publish
from libs.cli.errors import CommandError
from libs.cli.parked_requests import operator
from libs.contracts import GapCloseRequested
from libs.contracts.derived_ids import fitting_id
from libs.devstack.settings import SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.gaps import GAPS
from libs.runtime.mongo import connect, database

CLOSE_TIMEOUT_S = 30.0
POLL_S = 0.1

app = typer.Typer(
    help="Look at messages that Kafka deleted before they were read, and close each gap with its reason.", no_args_is_help=True
)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

Gap = dict[str, Any]
AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]


class GapReader:
    """Reads the gaps of all services."""

    def __init__(self, client: Any, settings: RuntimeSettings) -> None:
        self._gaps = {service: database(client, settings, service)[GAPS] for service in SERVICES}

    async def list(self, *, closed_too: bool) -> list[Gap]:
        """The gaps that nobody has closed, the latest first; with `closed_too` all."""
        query = {} if closed_too else {"closed_at": None}
        found = [gap for gaps in self._gaps.values() async for gap in gaps.find(query)]
        return sorted(found, key=lambda gap: gap["found_at"], reverse=True)

    async def find(self, gap_id: str) -> Gap:
        """Return a gap by its id. Raises CommandError when there is none."""
        service, _, _ = gap_id.partition(":")
        gap = await self._gaps[service].find_one({"_id": gap_id}) if service in self._gaps else None
        if gap is None:
            raise CommandError(f"there is no gap {gap_id}", "see `tarifa gaps list --all`")
        return gap


@app.command("list")
def list_gaps(
    everything: Annotated[bool, typer.Option("--all", help="Also those that were closed.")] = False, as_json: AsJson = False
) -> None:
    """List the gaps, the latest first."""
    gaps = asyncio.run(_list(closed_too=everything))
    if as_json:
        result.print_json(json.dumps([_as_json(gap) for gap in gaps]))
        return
    if not gaps:
        progress.print("no gaps")
    for gap in gaps:
        result.print(f"{gap['found_at']:%Y-%m-%d %H:%M:%S}  [bold]{escape(gap['_id'])}[/bold]", soft_wrap=True)
        before = f", published before {gap['next_published_at']:%Y-%m-%d %H:%M:%S} UTC" if gap["next_published_at"] else ""
        result.print(f"                     {gap['message_count']:,} messages{before}", soft_wrap=True)
        if gap["closed_at"]:
            told = f"closed by {gap['closed_by']} on {gap['closed_at']:%Y-%m-%d %H:%M:%S}: {gap['reason']}"
            result.print(f"                     {escape(told)}", soft_wrap=True)


@app.command()
def close(
    gap_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")],
    reason: Annotated[str, typer.Option(help="What was done about the messages, or why nothing needs to be.")],
    as_json: AsJson = False,
) -> None:
    """Close a gap: it stays on record with who closed it, when and why, and is reported no longer."""
    if not reason.strip():
        raise typer.BadParameter("say what was done about the messages", param_hint="--reason")
    gap = asyncio.run(_close(gap_id, reason.strip()))
    if as_json:
        result.print_json(json.dumps(_as_json(gap)))
    else:
        progress.print(f"closed by {gap['closed_by']}: {gap['reason']}", markup=False)


async def _list(*, closed_too: bool) -> list[Gap]:
    async with _gap_reader(running_settings()) as reader:
        return await reader.list(closed_too=closed_too)


async def _close(gap_id: str, reason: str) -> Gap:
    settings = running_settings()
    async with _gap_reader(settings) as reader:
        gap = await reader.find(gap_id)
        if gap["closed_at"] is not None:
            raise CommandError(f"{gap_id} was closed by {gap['closed_by']} already", "see `tarifa gaps list --all`")
        at = datetime.now(UTC)
        request = GapCloseRequested(
            id=fitting_id(f"{at:%Y%m%dT%H%M%S.%f}@{gap_id}"),
            service=gap["service"],
            gap_id=gap_id,
            reason=reason,
            closed_by=operator(),
            requested_at=at,
        )
        await publish(settings, [request])
        return await _until_closed(reader, gap)


async def _until_closed(reader: GapReader, gap: Gap) -> Gap:
    deadline = time.monotonic() + CLOSE_TIMEOUT_S
    while time.monotonic() < deadline:
        found = await reader.find(gap["_id"])
        if found["closed_at"] is not None:
            return found
        await asyncio.sleep(POLL_S)
    raise CommandError(f"{gap['service']} did not close it within {CLOSE_TIMEOUT_S:g} s", "see `tarifa status`; it closes it once it is up")


@asynccontextmanager
async def _gap_reader(settings: RuntimeSettings) -> AsyncIterator[GapReader]:
    client = connect(settings)
    try:
        yield GapReader(client, settings)
    finally:
        await client.close()


def _as_json(gap: Gap) -> dict[str, Any]:
    told = {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in gap.items() if name not in ("_id", "close_id")
    }
    return {"id": gap["_id"], **told}
