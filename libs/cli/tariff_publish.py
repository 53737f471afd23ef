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
from libs.cli.rate_book_files import count_zones, rate_book_paths, sound_document, tell_warnings
from libs.contracts import TariffAccepted, TariffPublished, TariffRefused
from libs.devstack.stack import running_settings
from libs.periods import to_utc_milliseconds
from libs.pricing.effective_date import EffectiveFrom
from libs.tariffs import BookDocument
from libs.tariffs.review import review
from libs.tariffs.zones import zone_warnings

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
    files = [file for path in paths for file in rate_book_paths(path)]
    documents = [sound_document(file) for file in files]
    publications = [_publication(file, document, now) for file, document in zip(files, documents, strict=True)]
    answers = asyncio.run(ask(running_settings(), publications, ANSWERS, what="publications"))
    refused = [answer for answer in answers if isinstance(answer, TariffRefused)]
    accepted = [document for document in documents if document.book.id not in {answer.book_id for answer in refused}]
    zones = count_zones() if accepted else {}
    warnings = sorted(warning for document in accepted for warning in (*review(document), *zone_warnings(document.book, zones)))
    if as_json:
        result.print_json(json.dumps([answer.model_dump(mode="json") | {"accepted": answer not in refused} for answer in answers]))
    else:
        for answer in answers:
            _tell(answer, next(document.book.takes_effect for document in documents if document.book.id == answer.book_id))
        tell_warnings(warnings)
    if refused:
        raise CommandError(f"{len(refused)} of {len(answers)} rate books refused: {', '.join(answer.book_id for answer in refused)}")


def _publication(file: Path, document: BookDocument, now: datetime) -> TariffPublished:
    try:
        return TariffPublished.of(document.book.id, file.read_text(encoding="utf-8"), now)
    except ValidationError as error:
        raise CommandError(f"{file} cannot be published: {error.errors()[0]['msg']}", "divide it into several books") from None


def _tell(answer: Answer, takes_effect: EffectiveFrom) -> None:
    if isinstance(answer, TariffAccepted):
        local = f"{takes_effect.day}, each account's own midnight" if takes_effect.day is not None else None
        result.print(f"{escape(answer.book_id)}: in force from {local or f'{answer.effective_from:%Y-%m-%d %H:%M} UTC'}", soft_wrap=True)
        return
    for fault in answer.faults:
        result.print(f"{escape(answer.book_id)}: refused: {escape(fault)}", soft_wrap=True)
