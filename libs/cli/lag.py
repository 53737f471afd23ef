"""`tarifa lag`: how far each handler is behind, since when, and what it met last.

Lag and ages are Kafka's. Last progress and last error are what each service keeps of its handlers.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.devstack.settings import SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.lag import PartitionLag, lag_reader
from libs.runtime.mongo import connect, database

PROGRESS = "handler_progress"

app = typer.Typer()
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@dataclass(frozen=True)
class HandlerLag:
    """One partition of one group, with what its service knows of it."""

    partition: PartitionLag
    known: dict[str, Any]


@app.command()
def lag(
    service: Annotated[str | None, typer.Option(help="Only the handlers of this service.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also partitions without lag and without error.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON: every partition.")] = False,
) -> None:
    """Show by group, topic and partition: lag, age of the oldest unread message, last progress, last error."""
    if service is not None and service not in SERVICES:
        raise typer.BadParameter(f"{service} is not a service; the services are {', '.join(SERVICES)}", param_hint="--service")
    lags = asyncio.run(read_lags(running_settings(), service))
    if as_json:
        result.print_json(json.dumps([_as_json(one) for one in lags], default=str))
        return
    shown = [one for one in lags if everything or one.partition.lag or one.known.get("hangs_since")]
    if shown:
        result.print(_table(shown))
    total = sum(one.partition.lag for one in lags)
    progress.print(f"{total:,} messages unread in {len(lags)} partitions" if total else f"no lag in {len(lags)} partitions")


async def read_lags(settings: RuntimeSettings, service: str | None) -> list[HandlerLag]:
    """Return the lag of every group of the stack, or of one service."""
    known = await _known(settings)
    prefix = settings.topic(f"{service}." if service else "")
    async with lag_reader(settings) as reader:
        partitions = [partition for partition in await reader.partitions() if partition.group.startswith(prefix)]
        partitions = await reader.with_age(partitions)
    return [HandlerLag(one, known.get((one.group, one.topic, one.partition), {})) for one in partitions]


async def _known(settings: RuntimeSettings) -> dict[tuple[str, str, int], dict[str, Any]]:
    known = {}
    client = connect(settings)
    try:
        for service in SERVICES:
            async for document in database(client, settings, service)[PROGRESS].find():
                group = settings.topic(f"{service}.{document['handler']}")
                known[group, document["topic_name"], document["partition"]] = document
    finally:
        await client.close()
    return known


def _table(lags: Sequence[HandlerLag]) -> Table:
    table = Table(box=None, header_style="dim")
    for column in ("group", "topic", "partition", "offset", "lag", "oldest unread", "last progress", "last error"):
        table.add_column(column, justify="right" if column in ("partition", "offset", "lag") else "left", overflow="fold")
    now = datetime.now(UTC)
    for one in lags:
        partition = one.partition
        table.add_row(
            partition.group,
            partition.topic,
            str(partition.partition),
            str(partition.next_offset),
            f"{partition.lag:,}",
            _ago(partition.oldest_at, now),
            _ago(one.known.get("handled_at"), now),
            escape(_error(one.known, now)),
        )
    return table


def _error(known: dict[str, Any], now: datetime) -> str:
    if "error" not in known:
        return ""
    hangs = f", hangs since {_ago(known['hangs_since'], now)}: {known['retries']} retries" if known.get("hangs_since") else ""
    return f"{known['error'][:200]} ({_ago(known['error_at'], now)}{hangs})"


def _ago(at: datetime | None, now: datetime) -> str:
    return "" if at is None else f"{timedelta(seconds=int((now - at).total_seconds()))} ago"


def _as_json(one: HandlerLag) -> dict[str, Any]:
    partition, known = one.partition, one.known
    return {
        "group": partition.group,
        "topic": partition.topic,
        "partition": partition.partition,
        "next_offset": partition.next_offset,
        "end_offset": partition.end_offset,
        "lag": partition.lag,
        "oldest_unread_at": partition.oldest_at.isoformat() if partition.oldest_at else None,
        **{name: _plain(known.get(name)) for name in ("handled_at", "handled_offset", "error", "error_at", "hangs_since", "retries")},
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
