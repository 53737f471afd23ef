"""`tarifa skip`: have one message parked unhandled, because its handler hangs on it.

The skip is a fact. The handler's service keeps it, and every worker looks before its next try; a service that is down acts on it
once it is up, before it handles the message.
"""

import asyncio
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError
from rich.console import Console

from libs.cli.conversation import publish
from libs.cli.errors import CommandError
from libs.cli.parked_reader import parked_reader
from libs.cli.parked_requests import operator
from libs.contracts import MessageSkipRequested
from libs.devstack.settings import SERVICES
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from libs.runtime.parking.lot import message_id

# A handler backs off for up to 30 s between its tries.
PARKED_TIMEOUT_S = 45.0
POLL_S = 0.2
READ_TIMEOUT_S = 10.0
SHOWN_BYTES_MAX = 400

app = typer.Typer()
progress = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Skipped:
    """The message to skip, and for which handler."""

    service: str
    handler: str
    topic: str
    partition: int
    offset: int

    @property
    def parked_id(self) -> str:
        """The id under which it will be parked."""
        return message_id(self.service, self.handler, self.topic, self.partition, self.offset)


@app.command()
def skip(
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The handler that hangs, as `tarifa lag` names its group.")],
    topic: Annotated[str, typer.Argument(metavar="TOPIC")],
    partition: Annotated[int, typer.Argument(metavar="PARTITION", min=0)],
    offset: Annotated[int, typer.Argument(metavar="OFFSET", min=0)],
    reason: Annotated[str, typer.Option(help="Why; kept with the message.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Park one message unhandled: the last resort for a handler that hangs on it.

    It can be mended, retried or discarded later.
    """
    settings = running_settings()
    skipped = _named(settings, group, topic, partition, offset)
    record = asyncio.run(_read(settings, skipped))
    _show(record)
    if not yes:
        typer.confirm(f"Park it unhandled for {skipped.service}.{skipped.handler}?", abort=True, err=True)
    asyncio.run(_skip(settings, skipped, reason))
    progress.print(f"parked as {skipped.parked_id}", soft_wrap=True)


def _named(settings: RuntimeSettings, group: str, topic: str, partition: int, offset: int) -> Skipped:
    service, _, handler = group.removeprefix(settings.topic("")).partition(".")
    if service not in SERVICES or not handler:
        raise typer.BadParameter(f"{group} is not a group such as ledger.post_bills", param_hint="GROUP")
    full = topic if not settings.namespace or topic.startswith(f"{settings.namespace}.") else settings.topic(topic)
    return Skipped(service, handler, full, partition, offset)


async def _read(settings: RuntimeSettings, skipped: Skipped) -> ConsumerRecord:
    """Return the message. Raises CommandError when it is not there, or was handled already."""
    group = settings.topic(f"{skipped.service}.{skipped.handler}")
    async with lag_reader(settings) as reader:
        places = {(one.topic, one.partition): one for one in await reader.partitions([group])}
    place = places.get((skipped.topic, skipped.partition))
    if place is None:
        raise CommandError(f"{group} does not read {skipped.topic} partition {skipped.partition}", "see `tarifa lag --all`")
    if skipped.offset < place.next_offset:
        raise CommandError(f"{group} is past offset {skipped.offset} already: it reads from {place.next_offset} on", "see `tarifa lag`")
    if skipped.offset >= place.end_offset:
        raise CommandError(f"there is no offset {skipped.offset} yet: the next message gets {place.end_offset}", "see `tarifa lag`")
    return await _record(settings, skipped)


async def _record(settings: RuntimeSettings, skipped: Skipped) -> ConsumerRecord:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False, auto_offset_reset="none")
    place = TopicPartition(skipped.topic, skipped.partition)
    try:
        await consumer.start()
        consumer.assign([place])
        consumer.seek(place, skipped.offset)
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await consumer.getone(place)
    except (TimeoutError, OffsetOutOfRangeError):
        raise CommandError(f"offset {skipped.offset} of {skipped.topic} partition {skipped.partition} cannot be read") from None
    finally:
        await consumer.stop()


def _show(record: ConsumerRecord) -> None:
    body = record.value or b""
    text = body[:SHOWN_BYTES_MAX].decode(errors="backslashreplace")
    key = (record.key or b"").decode(errors="backslashreplace")
    published_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    progress.print(f"published {published_at:%Y-%m-%d %H:%M:%S} UTC, key {key}, {len(body)} bytes:", markup=False, soft_wrap=True)
    progress.print(text + (" …" if len(body) > SHOWN_BYTES_MAX else ""), markup=False, soft_wrap=True)


async def _skip(settings: RuntimeSettings, skipped: Skipped, reason: str) -> None:
    request = MessageSkipRequested(
        id=f"skip-{uuid.uuid4().hex}",
        service=skipped.service,
        handler=skipped.handler,
        topic_name=skipped.topic,
        partition=skipped.partition,
        offset=skipped.offset,
        reason=reason,
        requested_at=datetime.now(UTC),
        requested_by=operator(),
    )
    await publish(settings, [request])
    deadline = time.monotonic() + PARKED_TIMEOUT_S
    async with parked_reader(settings) as reader:
        while not await reader.exists(skipped.service, skipped.parked_id):
            if time.monotonic() > deadline:
                raise CommandError(
                    f"{skipped.service} has not parked it within {PARKED_TIMEOUT_S:g} s",
                    "see `tarifa status`; it parks the message before its next try, or once it is up",
                )
            await asyncio.sleep(POLL_S)
