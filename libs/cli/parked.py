"""`tarifa parked`: messages that a service could not process, why, and what becomes of them.

The `parked` collections are only read here. What is asked for a message is a fact that its own service acts on and answers.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.errors import CommandError
from libs.cli.parked_mending import difference, edit_in_editor, fault_of_body, readable, with_values
from libs.cli.parked_reader import OPEN, Chosen, ParkedGroup, as_json, parked_reader
from libs.cli.parked_requests import discard_request, mend_request, resolve, retry_request
from libs.contracts import MessageParked, ParkedResolved, ParkedState
from libs.devstack.settings import SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings

REASONS_SHOWN_MAX = 5

app = typer.Typer(help="Look at messages that could not be processed; retry, mend or discard them.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="As listed.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="As listed.")]
Service = Annotated[str | None, typer.Option(help="Only those of this service.")]
Handler = Annotated[str | None, typer.Option(help="Only those of this handler.")]
Topic = Annotated[str | None, typer.Option(help="Only those that came on this topic.")]
AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command("list")
def list_parked(
    service: Service = None,
    handler: Handler = None,
    topic: Topic = None,
    waiting: Annotated[bool, typer.Option("--waiting", help="Also those that wait behind a parked one.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Also those that wait, were handled since, or discarded.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all of them.")] = 50,
    skip: Annotated[int, typer.Option(min=0, help="How many of the latest to leave out: the next page.")] = 0,
    as_json_: AsJson = False,
) -> None:
    """List the parked messages, the latest first."""
    states = tuple(ParkedState) if everything else OPEN if waiting else (ParkedState.PARKED,)
    chosen = _chosen(service, handler, topic, states)
    messages, count = asyncio.run(_list(chosen, skip, limit))
    if as_json_:
        result.print_json(json.dumps([as_json(message) for message in messages]))
    else:
        for message in messages:
            _print_line(message)
        if not messages:
            progress.print("nothing is parked")
    left = count - skip - len(messages)
    if left > 0:
        progress.print(f"and {left} more: --skip {skip + len(messages)}, or `tarifa parked summary`")


@app.command()
def summary(service: Service = None, handler: Handler = None, topic: Topic = None, as_json_: AsJson = False) -> None:
    """Count what is parked and what waits, by handler, topic and kind of reason."""
    groups = asyncio.run(_groups(_chosen(service, handler, topic, OPEN)))
    if as_json_:
        result.print_json(json.dumps([asdict(group) for group in groups], default=str))
        return
    if not groups:
        progress.print("nothing is parked")
        return
    table = Table(box=None, header_style="dim")
    for column in ("service", "handler", "topic", "state", "messages", "first", "last", "reason"):
        table.add_column(column, justify="right" if column == "messages" else "left", overflow="fold")
    for group in groups:
        table.add_row(*_row(group))
    result.print(table)


@app.command()
def show(parked_id: Id, as_json_: AsJson = False) -> None:
    """Show a parked message with its body and its history."""
    message = asyncio.run(_show(parked_id))
    told = as_json(message)
    if as_json_:
        result.print_json(json.dumps(told))
        return
    table = Table(box=None, show_header=False)
    for name, value in told.items():
        if name == "history":
            value = "\n".join(_history_line(event) for event in value)
        if value is not None:
            table.add_row(f"[dim]{name}[/dim]", escape(str(value)))
    result.print(table)


@app.command()
def retry(
    parked_ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    service: Service = None,
    handler: Handler = None,
    topic: Topic = None,
    as_json_: AsJson = False,
) -> None:
    """Retry parked messages: only the handler that parked each handles it again, and then what waits behind it.

    One that fails again stays parked, with its new reason.
    """
    chosen = _one_choice(parked_ids, everything, service, handler, topic)
    settings = running_settings()
    ids = asyncio.run(_ids(settings, parked_ids, chosen))
    answers = asyncio.run(resolve(settings, [retry_request(id) for id in ids], "retried"))
    _tell(answers, ParkedState.HANDLED, "handled", "retried", as_json_=as_json_)


@app.command()
def mend(
    parked_id: Id,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Take the mended body from this file.")] = None,
    values: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Set one value, such as account.id=acc-7. Repeatable.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the message.")] = "mended by hand",
    yes: Yes = False,
    as_json_: AsJson = False,
) -> None:
    """Mend a parked message: edit its body, see the difference, and let its handler handle the mended one.

    Without --file and --set the body is opened in $EDITOR. The body as it was received is kept beside the mended one.
    """
    settings = running_settings()
    message = asyncio.run(_show(parked_id))
    if message.state not in OPEN:
        raise CommandError(f"{parked_id} is {message.state.value} already", "see `tarifa parked show`")
    before = readable(message)
    after = _mended(before, file, values)
    changed = difference(before, after)
    if not changed:
        raise CommandError("nothing was changed")
    progress.print(changed, markup=False, soft_wrap=True)
    fault = fault_of_body(settings, message, after)
    if fault is not None:
        raise CommandError(f"the mended body is still no {message.topic_name}: {fault}", "mend that as well")
    if not yes:
        typer.confirm(f"Let {message.service}.{message.handler} handle it so?", abort=True, err=True)
    answers = asyncio.run(resolve(settings, [mend_request(parked_id, after.encode(), reason)], "mended"))
    _tell(answers, ParkedState.HANDLED, "handled", "mended", as_json_=as_json_)


@app.command()
def discard(
    parked_ids: Ids = None,
    reason: Annotated[str, typer.Option(help="Why they are given up; kept for good.")] = ...,  # type: ignore[assignment]
    everything: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    service: Service = None,
    handler: Handler = None,
    topic: Topic = None,
    yes: Yes = False,
    as_json_: AsJson = False,
) -> None:
    """Give parked messages up: they are never handled. They stay on record with the reason; what waits behind them is handled."""
    chosen = _one_choice(parked_ids, everything, service, handler, topic)
    settings = running_settings()
    ids = asyncio.run(_ids(settings, parked_ids, chosen))
    if ids and not yes:
        typer.confirm(f"Give {len(ids)} message{'s' if len(ids) > 1 else ''} up for good?", abort=True, err=True)
    answers = asyncio.run(resolve(settings, [discard_request(id, reason) for id in ids], "discarded"))
    _tell(answers, ParkedState.DISCARDED, "discarded", "discarded", as_json_=as_json_)


def _mended(before: str, file: Path | None, values: Sequence[str] | None) -> str:
    if file is not None:
        return file.read_text(encoding="utf-8")
    return with_values(before, values) if values else edit_in_editor(before)


def _chosen(service: str | None, handler: str | None, topic: str | None, states: Sequence[ParkedState]) -> Chosen:
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"{service} is not a service; the services are {', '.join(SERVICES)}", param_hint="--service")
    return Chosen(SERVICES if service is None else (service,), handler, topic, states)


def _one_choice(ids: Sequence[str] | None, everything: bool, service: str | None, handler: str | None, topic: str | None) -> Chosen:
    narrowed = any(value is not None for value in (service, handler, topic))
    if bool(ids) == (everything or narrowed):
        raise typer.BadParameter("name the messages, or choose them by --service, --handler, --topic or --all")
    return _chosen(service, handler, topic, (ParkedState.PARKED,))


async def _list(chosen: Chosen, skip: int, limit: int) -> tuple[list[MessageParked], int]:
    async with parked_reader(running_settings()) as reader:
        return await reader.newest(chosen, skip=skip, limit=limit), await reader.count(chosen)


async def _groups(chosen: Chosen) -> list[ParkedGroup]:
    async with parked_reader(running_settings()) as reader:
        return await reader.groups(chosen)


async def _show(parked_id: str) -> MessageParked:
    async with parked_reader(running_settings()) as reader:
        return await reader.find(parked_id)


async def _ids(settings: RuntimeSettings, named: Sequence[str] | None, chosen: Chosen) -> list[str]:
    async with parked_reader(settings) as reader:
        return [(await reader.find(parked_id)).id for parked_id in named] if named else await reader.ids(chosen)


def _print_line(message: MessageParked) -> None:
    state = "" if message.state is ParkedState.PARKED else f"  [dim]{message.state.value}[/dim]"
    result.print(f"{message.parked_at:%Y-%m-%d %H:%M:%S}  [bold]{escape(message.id)}[/bold]{state}", soft_wrap=True)
    result.print(f"                     {escape(message.reason)}", soft_wrap=True)


def _row(group: ParkedGroup) -> list[str]:
    times = [f"{at:%Y-%m-%d %H:%M:%S}" for at in (group.since, group.until)]
    return [group.service, group.handler, group.topic, group.state.value, f"{group.count:,}", *times, escape(group.reason)]


def _history_line(event: dict[str, Any]) -> str:
    by = f" by {event['by']}" if event["by"] else ""
    note = f": {event['note']}" if event["note"] else ""
    return f"{event['at']} {event['action']}{by}{note}"


def _tell(answers: Sequence[ParkedResolved], wanted: ParkedState, done: str, name: str, *, as_json_: bool) -> None:
    succeeded = [answer for answer in answers if answer.state is wanted]
    others = [answer for answer in answers if answer.state is not wanted]
    followed_count = sum({(answer.service, answer.parked_id): answer.followed_count for answer in answers}.values())
    if as_json_:
        failed = [{"id": answer.parked_id, "state": answer.state, "reason": answer.detail} for answer in others]
        told = {name: [answer.parked_id for answer in succeeded], "followed_count": followed_count, "failed": failed}
        result.print_json(json.dumps(told))
    elif not answers:
        progress.print("nothing is parked")
    else:
        behind = f", and {followed_count} that waited behind them were handled" if followed_count else ""
        progress.print(f"{len(succeeded)} {done}{behind}")
        for answer in others[:REASONS_SHOWN_MAX]:
            progress.print(f"  {escape(answer.parked_id)}: {escape(answer.detail or 'is ' + str(answer.state))}", soft_wrap=True)
    if others:
        raise CommandError(f"{len(others)} of {len(answers)} were not {done}", "see `tarifa parked list`")
