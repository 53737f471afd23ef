"""`tarifa tariff import-cgrates`: a CGRateS tariff-plan folder becomes rate books, and what does not come over is told."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from libs.cli.errors import CommandError
from libs.money import UnknownCurrency, minor_unit_decimals
from libs.pricing import RateBookInvalid, RateBooks, parse_rate_book
from libs.tariffs.cgrates import ImportedBook, ImportTerms, Remark, RemarkKind, import_tariff_plan, read_tariff_plan

progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


def import_cgrates(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="With Destinations.csv, Rates.csv … in it.", file_okay=False, exists=True)
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="The file to write; of several books each gets its date in the name. Or a directory. Standard output when left out."
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="The currency of the amounts, which a tariff plan does not say.")] = "EUR",
    add_plus: Annotated[bool, typer.Option("--add-plus", help="Prefixes are international and lack their plus: 49 becomes +49.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when anything is left out or priced otherwise.")] = False,
    prefix: Annotated[
        str, typer.Option(help="Put before the ids of books and offerings, to keep several tariff plans of one tenant apart.")
    ] = "",
    home_networks: Annotated[
        list[str] | None,
        typer.Option("--home-network", metavar="CODE", help="The code of a network of your own, as in 21407; may be given several times."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell books and remarks as JSON.")] = False,
) -> None:
    """Turn a CGRateS tariff-plan folder into rate books, and list whatever has no counterpart."""
    try:
        minor_unit_decimals(currency)
    except UnknownCurrency as error:
        raise CommandError(str(error), "give a code such as EUR or USD with --currency") from None
    texts = {path.name: _read(path) for path in sorted(directory.glob("*.csv"))}
    if not texts:
        raise CommandError(f"no CSV file in {directory}", "name the folder of a tariff plan")
    plan = read_tariff_plan(texts, add_plus=add_plus)
    books, remarks = import_tariff_plan(plan, ImportTerms(currency, tuple(home_networks or ()), prefix))
    if not books:
        if as_json:
            _tell_all([], remarks)
        else:
            _tell(remarks)
        raise CommandError(
            f"nothing in {directory} can be priced", "see the remarks above; profiles, plans, destinations and rates are needed"
        )
    if len(books) > 1 and output is None and not as_json:
        raise CommandError(
            f"{len(books)} books come out, one for each date at which something changes", "say where to write them with --output"
        )
    _check(books)
    files = _write(books, output, force=force) if output is not None else []
    if as_json:
        _tell_all(books, remarks)
    else:
        if output is None:
            print(books[0].text, end="")
        for file in files:
            progress.print(f"wrote {escape(str(file))}", soft_wrap=True)
        _tell(remarks)
    lost = [remark for remark in remarks if remark.kind is not RemarkKind.ASSUMED]
    if strict and lost:
        raise CommandError(f"{len(lost)} things did not come over as they stand", "see the remarks, or leave out --strict")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}", "make it a file that may be read, or take it away") from None


def _check(books: Sequence[ImportedBook]) -> None:
    try:
        RateBooks(parse_rate_book(book.text, f"{book.id}.yaml") for book in books)
    except RateBookInvalid as error:
        raise CommandError(f"what came out is no sound rate book: {error.faults[0]}", "mend the tariff plan there") from error


def _write(books: Sequence[ImportedBook], output: Path, *, force: bool) -> list[Path]:
    if output.is_dir():
        files = [output / f"{book.id}.yaml" for book in books]
    elif len(books) == 1:
        files = [output]
    else:
        ending = output.suffix or ".yaml"
        files = [output.with_name(f"{output.stem}-{book.effective_from:%Y-%m-%dT%H%M%S}{ending}".replace("T000000", "")) for book in books]
        files = [file if files.count(file) == 1 else file.with_stem(book.id) for file, book in zip(files, books, strict=True)]
    there = [file for file in files if file.exists()]
    if there and not force:
        others = f" and {len(there) - 1} more" if len(there) > 1 else ""
        raise CommandError(f"{there[0]}{others} would be overwritten", "name another place with --output, or say --force")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        for file, book in zip(files, books, strict=True):
            file.write_text(book.text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{error.filename} cannot be written: {error.strerror}", "name another place with --output") from None
    return files


def _tell_all(books: Sequence[ImportedBook], remarks: Sequence[Remark]) -> None:
    told = [dataclasses.asdict(book) | {"effective_from": book.effective_from.isoformat()} for book in books]
    result.print_json(json.dumps({"books": told, "remarks": [dataclasses.asdict(remark) for remark in remarks]}))


def _tell(remarks: Sequence[Remark]) -> None:
    for remark in remarks:
        progress.print(escape(str(remark)), soft_wrap=True)
