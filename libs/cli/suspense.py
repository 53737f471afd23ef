"""`tarifa suspense`: usages that could not be rated, why, and what became of them.

Rating's collection is only read here; a retry or a discard is a fact that rating acts on and answers.
"""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer
from pymongo.asynchronous.collection import AsyncCollection
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.conversation import ask
from libs.cli.errors import CommandError
from libs.contracts import RejectionReason, SuspenseDiscardRequested, SuspenseResolved, SuspenseRetryRequested
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect, database

# A table of more is not read; --json has them all.
SHOWN_MAX = 100

app = typer.Typer(help="Look at usages that could not be rated; rate them once mended, or give them up.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As listed.")]
Reason = Annotated[RejectionReason | None, typer.Option(help="Only those with this reason.")]
AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]
Request = SuspenseRetryRequested | SuspenseDiscardRequested


@app.command("list")
def list_suspended(
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that were rated or discarded since.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the usages that wait, the latest first."""
    query: dict[str, Any] = {} if everything else {"state": "open"}
    if reason is not None:
        query["reason"] = reason.value
    entries = asyncio.run(_find(query))
    if as_json:
        result.print_json(json.dumps(entries))
        return
    if not entries:
        progress.print("nothing is in suspense")
        return
    for entry in entries[:SHOWN_MAX]:
        state = "" if entry["state"] == "open" else f"  [dim]{entry['state']}[/dim]"
        usage = f"usage {escape(entry['usage_id'])}" if entry["usage_id"] else "a message that is no usage"
        result.print(f"{entry['suspended_at'][:19]}  [bold]{entry['id']}[/bold]  {entry['reason']}  {usage}{state}", soft_wrap=True)
        result.print(f"                     {escape(entry['detail'])}", soft_wrap=True)
    if len(entries) > SHOWN_MAX:
        progress.print(f"and {len(entries) - SHOWN_MAX} more; --json has them all")


@app.command()
def show(suspense_id: Annotated[str, typer.Argument(metavar="ID", help="As listed.")], as_json: AsJson = False) -> None:
    """Show an entry with its usage, or with the message as it came."""
    entries = asyncio.run(_find({"_id": suspense_id}))
    if not entries:
        raise CommandError(f"nothing is in suspense under {suspense_id}", "see `tarifa suspense list --all`")
    if as_json:
        result.print_json(json.dumps(entries[0]))
        return
    table = Table(box=None, show_header=False)
    for name, told in entries[0].items():
        if told is not None:
            table.add_row(f"[dim]{name}[/dim]", escape(json.dumps(told, indent=2) if isinstance(told, dict) else str(told)))
    result.print(table)


@app.command()
def retry(
    suspense_ids: Ids = None,
    reason: Reason = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait.")] = False,
    beyond_limits: Annotated[
        bool, typer.Option("--beyond-limits", help="Rate the named usages though their quantity is beyond the limits.")
    ] = False,
    note: Annotated[str | None, typer.Option(help="Why the quantity is right; kept for good. With --beyond-limits.")] = None,
    as_json: AsJson = False,
) -> None:
    """Rate usages again, once what was missing is there. Each is rated once, however often it is retried."""
    if [bool(suspense_ids), reason is not None, everything].count(True) != 1:
        raise typer.BadParameter("name the usages to retry, or choose --reason or --all")
    if beyond_limits != bool(note and note.strip()) or (beyond_limits and not suspense_ids):
        raise typer.BadParameter("--beyond-limits needs the ids of usages and a --note that says why their quantity is right")
    named: Sequence[str | None] = suspense_ids or [None]
    requests = [
        SuspenseRetryRequested(id=_new_id("retry"), suspense_id=id, reason=reason, beyond_limits=beyond_limits, note=note) for id in named
    ]
    _tell(asyncio.run(ask(running_settings(), requests, [SuspenseResolved], what="requests")), as_json=as_json)


@app.command()
def discard(
    suspense_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As listed.")],
    note: Annotated[str, typer.Option(help="Why they are given up; kept for good.")],
    as_json: AsJson = False,
) -> None:
    """Give usages up: they will not be billed. The entries stay, with the note."""
    requests = [SuspenseDiscardRequested(id=_new_id("discard"), suspense_id=id, note=note) for id in suspense_ids]
    _tell(asyncio.run(ask(running_settings(), requests, [SuspenseResolved], what="requests")), as_json=as_json)


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"


def _tell(outcomes: Sequence[SuspenseResolved], *, as_json: bool) -> None:
    counts = {
        "rated": sum(outcome.rated_count for outcome in outcomes),
        "suspended": sum(outcome.suspended_count for outcome in outcomes),
        "discarded": sum(outcome.discarded_count for outcome in outcomes),
    }
    refusals = [outcome.refusal for outcome in outcomes if outcome.refusal is not None]
    if as_json:
        result.print_json(json.dumps({**counts, "refusals": refusals}))
    else:
        told = {"rated": "rated", "suspended": "still in suspense", "discarded": "discarded"}
        result.print(", ".join(f"{count} {told[what]}" for what, count in counts.items() if count) or "nothing was there to do")
    if refusals:
        raise CommandError(f"{len(refusals)} of {len(outcomes)} refused: {refusals[0]}")


async def _find(query: dict[str, Any]) -> list[dict[str, Any]]:
    async with _suspense(running_settings()) as suspense:
        return [_as_json(document) async for document in suspense.find(query).sort([("suspended_at", -1), ("_id", 1)])]


@asynccontextmanager
async def _suspense(settings: RuntimeSettings) -> AsyncIterator[AsyncCollection]:
    client = connect(settings)
    try:
        yield database(client, settings, "rating")["suspense"]
    finally:
        await client.close()


def _as_json(document: dict[str, Any]) -> dict[str, Any]:
    usage = document["usage"]
    body = document["body"]
    return {
        "id": document["_id"],
        "state": document["state"],
        "reason": document["reason"],
        "detail": document["detail"],
        "usage_id": document["usage_id"],
        "suspended_at": document["suspended_at"].isoformat(),
        "resolved_at": document["resolved_at"].isoformat() if "resolved_at" in document else None,
        "note": document.get("note"),
        "waits_for": document.get("waits_for"),
        "usage": None if usage is None else {("id" if name == "_id" else name): _plain(value) for name, value in usage.items()},
        "body": None if body is None else base64.b64decode(body).decode(errors="backslashreplace"),
    }


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value if isinstance(value, str | int | dict) else str(value)
