"""`tarifa tariff publish`: rate books handed to rating while it runs, and what it says to them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from libs.cli.errors import CommandError
from libs.cli.rate_book_files import rate_book_paths, sound_document
from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.devstack.stack import running_settings
from libs.periods import to_utc_milliseconds
from libs.runtime.publisher import FactPublisher
from libs.runtime.settings import RuntimeSettings

OUTCOME_TIMEOUT_S = 60.0
ANSWERS = (TariffAccepted, TariffRefused)

result = Console(highlight=False)

Answer = TariffAccepted | TariffRefused


def publish(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Rate books, or directories of them.")],
    as_json: Annotated[bool, typer.Option("--json", help="Tell the answers as JSON.")] = False,
) -> None:
    """Publish rate books: rating prices by them from their effective_from on. Exit 1 when it refuses one.

    A book in force stays as it is for ever; one that is still to come can be published anew. The same text twice is one publication.
    """
    now = to_utc_milliseconds(datetime.now(UTC))
    publications = [_publication(file, now) for path in paths for file in rate_book_paths(path)]
    answers = asyncio.run(_ask(publications))
    refused = [answer for answer in answers if isinstance(answer, TariffRefused)]
    if as_json:
        result.print_json(json.dumps([answer.model_dump(mode="json") | {"accepted": answer not in refused} for answer in answers]))
    else:
        for answer in answers:
            _tell(answer)
    if refused:
        raise CommandError(f"{len(refused)} of {len(answers)} rate books refused: {', '.join(answer.book_id for answer in refused)}")


def _publication(file: Path, now: datetime) -> TariffPublished:
    document = sound_document(file)
    try:
        return TariffPublished.of(document.book.id, file.read_text(encoding="utf-8"), now)
    except ValidationError as error:
        raise CommandError(f"{file} cannot be published: {error.errors()[0]['msg']}", "divide it into several books") from None


def _tell(answer: Answer) -> None:
    if isinstance(answer, TariffAccepted):
        result.print(f"{escape(answer.book_id)}: in force from {answer.effective_from:%Y-%m-%d %H:%M} UTC", soft_wrap=True)
        return
    for fault in answer.faults:
        result.print(f"{escape(answer.book_id)}: refused: {escape(fault)}", soft_wrap=True)


async def _ask(publications: Sequence[TariffPublished]) -> list[Answer]:
    """Publish the books and wait for what rating says to each."""
    settings = running_settings()
    async with _answers(settings) as consumer:
        publisher = FactPublisher("cli", settings)
        await publisher.start()
        try:
            await publisher.publish(publications)
        finally:
            await publisher.stop()
        facts = {settings.topic(fact.topic): fact for fact in ANSWERS}
        waiting = {publication.id for publication in publications}
        found: dict[str, Answer] = {}
        try:
            async with asyncio.timeout(OUTCOME_TIMEOUT_S):
                while waiting - found.keys():
                    message = await consumer.getone()
                    answer = facts[message.topic].from_message(message.value)
                    if answer.id in waiting:
                        found[answer.id] = answer
        except TimeoutError:
            raise CommandError(
                f"rating answered {len(found)} of {len(waiting)} publications within {OUTCOME_TIMEOUT_S:g} s",
                "see `tarifa status`; it takes the others once it is up",
            ) from None
        return [found[id] for id in dict.fromkeys(publication.id for publication in publications)]


@asynccontextmanager
async def _answers(settings: RuntimeSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap_servers, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(settings.topic(fact.topic), number) for fact in ANSWERS for number in range(fact.partitions)]
        consumer.assign(partitions)
        # Settled before anything is published: the answer may come at once.
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)
        yield consumer
    finally:
        await consumer.stop()
