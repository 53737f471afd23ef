"""`tarifa up | down | status | logs`: the stack on this machine."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from libs.cli.errors import CommandError
from libs.devstack.program import READY_TIMEOUT_S
from libs.devstack.settings import SERVICES, StackSettings
from libs.devstack.stack import Condition, Stack
from libs.devstack.state import Started
from libs.runtime.settings import without_password

FOLLOW_POLL_S = 0.2

app = typer.Typer()
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@app.command()
def up(
    only: Annotated[list[str] | None, typer.Option(help="Only this service, and the infrastructure. Repeatable.")] = None,
    infrastructure_only: Annotated[bool, typer.Option("--infrastructure-only", help="Kafka, MongoDB and topics; no service.")] = False,
    port: Annotated[list[str] | None, typer.Option(metavar="NAME=NUMBER", help="Another port, e.g. kafka=9192. Repeatable.")] = None,
    ready_timeout_s: Annotated[float, typer.Option(help="How long a service may take to become ready.")] = READY_TIMEOUT_S,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
) -> None:
    """Start Kafka, MongoDB and the services that do not run yet, and wait until they are ready.

    A supervisor stays in the background. It starts a service again that ends without being told to, with pauses that grow to a minute.

    Kafka and MongoDB are those of KAFKA_BOOTSTRAP_SERVERS and MONGODB_URL when these are set; else they are started
    natively, or by Docker compose. Ports: --port, or KAFKA_PORT, MONGODB_PORT, GATEWAY_PORT, RATING_PORT and so on.
    """
    services = _chosen(only, infrastructure_only)
    stack = Stack(_settings(port), say)
    conditions = asyncio.run(stack.up(services, ready_timeout_s=ready_timeout_s))
    _tell(conditions, as_json=as_json)
    if any(condition.missing for condition in conditions):
        raise CommandError("not everything is ready", "see `tarifa logs SERVICE`")


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge", "--volumes", help="Remove the data and logs as well.")] = False,
) -> None:
    """Stop what `tarifa up` started, and nothing else; data is kept."""
    stopped = asyncio.run(Stack(StackSettings(), say).down(purge=purge))
    say(f"stopped {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON.")] = False) -> None:
    """Tell what runs where, what each lacks, and what a person should look at. Exit 1 unless all of it is ready."""
    stack = Stack(StackSettings(), say)
    conditions = asyncio.run(stack.status())
    _tell(conditions, as_json=as_json)
    if not stack.is_supervised:
        say("WARNING: no supervisor runs, so a service that ends is not started again: `tarifa up` starts one")
    if not conditions:
        raise CommandError("nothing was started", "start the stack with `tarifa up`")
    if any(condition.missing for condition in conditions):
        raise CommandError("not everything is ready", "start what is missing with `tarifa up`")


@app.command()
def logs(
    service: Annotated[str | None, typer.Argument(help="A service, kafka or mongodb; all services when left out.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as more is logged.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines of each.")] = 50,
) -> None:
    """Show the logs of the stack."""
    stack = Stack(StackSettings(), say)
    if service is not None:
        chosen = {service: stack.log(service)}
    else:
        chosen = {name: stack.log(name) for name in stack.state.members if name in SERVICES}
        if not chosen:
            raise CommandError("no service was started", "start the stack with `tarifa up`")
    positions = {name: _show_tail(name, log, lines, named=service is None) for name, log in chosen.items()}
    while follow:
        for name, log in chosen.items():
            positions[name] = _show_new(name, log, positions[name], named=service is None)
        time.sleep(FOLLOW_POLL_S)


def say(text: str) -> None:
    """A step, for people."""
    progress.print(text, style="red bold" if "WARNING" in text else None, markup=False, soft_wrap=True)


def _chosen(only: Sequence[str] | None, infrastructure_only: bool) -> Sequence[str]:
    if infrastructure_only and only:
        raise typer.BadParameter("--infrastructure-only and --only exclude each other")
    unknown = [name for name in only or () if name not in SERVICES]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]} is not a service; the services are {', '.join(SERVICES)}", param_hint="--only")
    return () if infrastructure_only else tuple(only or SERVICES)


def _settings(ports: Iterable[str] | None) -> StackSettings:
    chosen: dict[str, str] = {}
    for setting in ports or ():
        name, _, number = setting.partition("=")
        field = f"{name.removeprefix('tmf_')}_port"
        if field not in StackSettings.model_fields:
            known = ", ".join(known.removesuffix("_port") for known in StackSettings.model_fields if known.endswith("_port"))
            raise typer.BadParameter(f"{name!r} has no port; those that have are {known}", param_hint="--port")
        chosen[field] = number
    try:
        return StackSettings.model_validate(chosen)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise CommandError(f"{'.'.join(map(str, fault['loc'])).upper()} is {fault['input']!r}: {fault['msg']}", exit_code=2) from None


def _tell(conditions: Sequence[Condition], *, as_json: bool) -> None:
    if as_json:
        result.print_json(json.dumps({condition.name: _as_json(condition) for condition in conditions}))
        return
    rows = [(condition.name, without_password(condition.started.address), condition.started.origin) for condition in conditions]
    name_width, address_width, _ = (max(map(len, column)) for column in zip(*rows, strict=True)) if rows else (0, 0, 0)
    for condition, (name, address, origin) in zip(conditions, rows, strict=True):
        state = "[red]not ready[/red]" if condition.missing else "[green]ready[/green]    "
        result.print(f"{name:<{name_width}}  {state}  {address:<{address_width}}  {escape(origin)}", soft_wrap=True)
    for condition in conditions:
        if condition.started.restarts:
            progress.print(f"{condition.name}: {_restarted(condition.started)}", style="yellow", markup=False, soft_wrap=True)
        if condition.missing:
            progress.print(f"{condition.name}: {condition.missing}", style="red", markup=False, soft_wrap=True)
        for name, sentence in condition.warnings.items():
            progress.print(f"{condition.name}: {name}: {sentence}", style="yellow", markup=False, soft_wrap=True)


def _restarted(started: Started) -> str:
    at = f"{started.restarted_at:%Y-%m-%d %H:%M:%S}" if started.restarted_at else "an unknown time"
    return f"started again {started.restarts} times, last at {at} UTC: {started.ended_because}"


def _as_json(condition: Condition) -> dict[str, object]:
    started = condition.started
    return {
        "state": "not ready" if condition.missing else "ready",
        "missing": condition.missing,
        "warnings": condition.warnings,
        "address": without_password(started.address),
        "origin": started.origin,
        "restarts": started.restarts,
        "restarted_at": started.restarted_at.isoformat() if started.restarted_at else None,
        "ended_because": started.ended_because,
        "pid": started.process.pid if started.process else None,
        "log": str(started.log) if started.log else None,
    }


def _show_tail(name: str, log: Path, lines: int, *, named: bool) -> int:
    if not log.exists():
        return 0
    with log.open(errors="replace") as source:
        for line in deque(source, maxlen=lines):
            _show(name, line, named=named)
        return source.tell()


def _show_new(name: str, log: Path, position: int, *, named: bool) -> int:
    if not log.exists() or log.stat().st_size == position:
        return position
    with log.open(errors="replace") as source:
        # A log that became shorter was begun anew.
        source.seek(position if log.stat().st_size > position else 0)
        for line in iter(source.readline, ""):
            _show(name, line, named=named)
        return source.tell()


def _show(name: str, line: str, *, named: bool) -> None:
    print(f"{name:>14} | {line}" if named else line, end="" if line.endswith("\n") else "\n", flush=True)
