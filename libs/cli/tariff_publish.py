"""`tarifa tariff publish`: rate books handed to rating while it runs, and what it says to them."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from libs.cli.conversation import ask
from libs.cli.errors import CommandError
from libs.cli.rate_book_files import rate_book_paths, sound_document
from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.devstack.stack import running_settings
from libs.periods import to_utc_milliseconds

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
    answers = asyncio.run(ask(running_settings(), publications, ANSWERS, what="publications"))
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
