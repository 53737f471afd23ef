"""`tarifa parked`: messages that a service could not process, why, and another try for them.

The `parked` collections are only read here; a retry is a fact that the message's own service acts on.
"""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.conversation import publish
from libs.cli.errors import CommandError
from libs.contracts import MessageParked, ParkedRetryRequested
from libs.devstack.settings import SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings, from_document
from libs.runtime.mongo import connect, database

# A table of more is not read; --json has them all.
SHOWN_MAX = 100
RETRY_TIMEOUT_S = 30.0
POLL_S = 0.1

app = typer.Typer(help="Look at messages that could not be processed, and try them again.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]


class ParkedReader:
    """Reads what all services have parked."""

    def __init__(self, client: Any, settings: RuntimeSettings) -> None:
        self._parked = {service: database(client, settings, service)["parked"] for service in SERVICES}

    async def waiting(self, services: Sequence[str], *, retried_too: bool = False) -> list[MessageParked]:
        """Messages that nobody tried again yet, the latest first; with `retried_too` also those that somebody did."""
        query = {} if retried_too else {"retried_at": None}
        found = [document for service in services async for document in self._parked[service].find(query)]
        return sorted((from_document(MessageParked, document) for document in found), key=lambda parked: parked.parked_at, reverse=True)

    async def find(self, parked_id: str) -> MessageParked:
        """One message. Raises CommandError when there is none."""
        service, _, _ = parked_id.partition(":")
        document = await self._parked[service].find_one({"_id": parked_id}) if service in self._parked else None
        if document is None:
            raise CommandError(f"nothing is parked under {parked_id}", "see `tarifa parked list --all`")
        return from_document(MessageParked, document)


@app.command("list")
def list_parked(
    service: Service = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were tried again.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the parked messages, the latest first."""
    parked = asyncio.run(_list(_services(service), retried_too=everything))
    if as_json:
        result.print_json(json.dumps([_as_json(message) for message in parked]))
        return
    if not parked:
        progress.print("nothing is parked")
        return
    for message in parked[:SHOWN_MAX]:
        retried = "  [dim]tried again[/dim]" if message.retried_at else ""
        result.print(f"{message.parked_at:%Y-%m-%d %H:%M:%S}  [bold]{escape(message.id)}[/bold]{retried}", soft_wrap=True)
        result.print(f"                     {escape(message.reason)}", soft_wrap=True)
    if len(parked) > SHOWN_MAX:
        progress.print(f"and {len(parked) - SHOWN_MAX} more; --json has them all")


@app.command()
def show(parked_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")], as_json: AsJson = False) -> None:
    """Show a parked message with its body."""
    message = asyncio.run(_show(parked_id))
    if as_json:
        result.print_json(json.dumps(_as_json(message)))
        return
    table = Table(box=None, show_header=False)
    for name, told in _as_json(message).items():
        table.add_row(f"[dim]{name}[/dim]", escape(str(told)))
    result.print(table)


@app.command()
def retry(
    parked_ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As listed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that were not tried again yet.")] = False,
    service: Service = None,
    as_json: AsJson = False,
) -> None:
    """Try parked messages again: their service publishes each on its own topic once more.

    One that still cannot be processed is parked again, under a new id.
    """
    if bool(parked_ids) == everything:
        raise typer.BadParameter("name the messages to try again, or choose --all")
    if service is not None and not everything:
        raise typer.BadParameter("--service goes with --all")
    retried = asyncio.run(_retry(parked_ids or [], _services(service)))
    if as_json:
        result.print_json(json.dumps({"retried": retried}))
    else:
        progress.print(f"{len(retried)} tried again" if retried else "nothing is parked")


def _services(chosen: str | None) -> Sequence[str]:
    if chosen is not None and chosen not in SERVICES:
        raise typer.BadParameter(f"{chosen} is not a service; the services are {', '.join(SERVICES)}", param_hint="--service")
    return SERVICES if chosen is None else (chosen,)


async def _list(services: Sequence[str], *, retried_too: bool) -> list[MessageParked]:
    async with _parked_reader(running_settings()) as reader:
        return await reader.waiting(services, retried_too=retried_too)


async def _show(parked_id: str) -> MessageParked:
    async with _parked_reader(running_settings()) as reader:
        return await reader.find(parked_id)


async def _retry(parked_ids: Sequence[str], services: Sequence[str]) -> list[str]:
    settings = running_settings()
    async with _parked_reader(settings) as reader:
        messages = [await reader.find(parked_id) for parked_id in parked_ids] or await reader.waiting(services)
        asked_at = datetime.now(UTC)
        await publish(settings, [_request(message, asked_at) for message in messages])
        await _until_retried(reader, messages)
    return [message.id for message in messages]


def _request(message: MessageParked, asked_at: datetime) -> ParkedRetryRequested:
    # The id names the try: asking again later is another one.
    return ParkedRetryRequested(
        id=f"{message.id}@{asked_at:%Y%m%dT%H%M%S.%f}", service=message.service, parked_id=message.id, requested_at=asked_at
    )


async def _until_retried(reader: ParkedReader, asked: Sequence[MessageParked]) -> None:
    deadline = time.monotonic() + RETRY_TIMEOUT_S
    missing = list(asked)
    while missing:
        message = await reader.find(missing[0].id)
        if message.retried_at is not None and message.retried_at != missing[0].retried_at:
            missing.pop(0)
        elif time.monotonic() > deadline:
            raise CommandError(
                f"{message.service} did not take {len(missing)} of {len(asked)} within {RETRY_TIMEOUT_S:g} s",
                "see `tarifa status`; it takes them once it is up",
            )
        else:
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def _parked_reader(settings: RuntimeSettings) -> AsyncIterator[ParkedReader]:
    client = connect(settings)
    try:
        yield ParkedReader(client, settings)
    finally:
        await client.close()


def _as_json(message: MessageParked) -> dict[str, Any]:
    told = message.model_dump(mode="json", exclude={"message_key", "body"})
    return {**told, "key": _text(message.message_key), "body": _text(message.body)}


def _text(encoded: str | None) -> str | None:
    """Bytes as text; what is not UTF-8 shows as escapes, so that nothing is hidden."""
    return base64.b64decode(encoded).decode(errors="backslashreplace") if encoded is not None else None
