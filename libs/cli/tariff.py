"""`tarifa tariff`: check rate books, list and show what offerings cost, and say what changes from one book to another."""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.errors import CommandError
from libs.cli.rate_book_files import (
    RATE_BOOKS,
    SEE_LIST,
    count_products,
    count_zones,
    find_document,
    names_file,
    rate_book_paths,
    read_document,
    read_documents,
    tell_warnings,
)
from libs.cli.tariff_import import import_cgrates
from libs.cli.tariff_publish import publish
from libs.cli.tariff_try import try_book
from libs.pricing import Fault, RateBookInvalid, RateBooks
from libs.tariffs import BookDocument, Change, SheetLine, difference, offering_sheet
from libs.tariffs.review import review
from libs.tariffs.zones import zone_warnings

app = typer.Typer(help="Check, try, show and compare rate books, and bring in those of other systems.", no_args_is_help=True)
result = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]
Books = Annotated[Path, typer.Option("--books", envvar="RATE_BOOKS_DIR", help="The directory of the rate books.", file_okay=False)]
Published = Annotated[bool, typer.Option("--published", help="Also the books that rating accepted; asks its database.")]
At = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="As of then, in UTC; now when left out.")]


@app.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="Rate books, or directories of them.")] = None,
    books: Books = RATE_BOOKS,
    published: Annotated[
        bool,
        typer.Option("--published", help="Also warn where accounts lie east of a book's zone; asks rating's database."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 where there are warnings, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Explain every fault of rate books with file, line and remedy; of all in --books when none is named. Exit 1 when there is any.

    Warnings tell what a sound book says that is often not meant: names, prices and allowances that nothing reaches, usage without a
    price, what is free or drawn in large steps, and books of the first format, whose prices are for usage abroad as well.

    Books that are named together are also checked against each other: no two of them may change an offering at one instant.
    """
    files = [file for path in paths or [books] for file in rate_book_paths(path)]
    sound, faults = _read_all(files)
    try:
        RateBooks(document.book for document in sound)
    except RateBookInvalid as error:
        faults += error.faults
    zones = count_zones() if published else {}
    warnings = sorted(warning for document in sound for warning in (*review(document), *zone_warnings(document.book, zones)))
    if as_json:
        told = {"faults": sorted(faults), "warnings": warnings}
        result.print_json(
            json.dumps({"books": len(files)} | {key: [dataclasses.asdict(each) for each in found] for key, found in told.items()})
        )
    else:
        for fault in sorted(faults):
            result.print(escape(str(fault)), soft_wrap=True)
        tell_warnings(warnings)
    if faults:
        raise CommandError(_counted(len(faults), "fault") + f" in {_counted(len({fault.file for fault in faults}), 'rate book')}")
    if not as_json:
        offerings = sum(len(document.offerings) for document in sound)
        odd = f", {_counted(len(warnings), 'warning')}" if warnings else ""
        result.print(f"{_counted(len(sound), 'rate book')} with {_counted(offerings, 'offering')}: no fault{odd}")
    if warnings and strict:
        raise CommandError(f"{_counted(len(warnings), 'warning')}", "mend the books, or leave out --strict")


@app.command("list")
def list_offerings(books: Books = RATE_BOOKS, published: Published = False, as_json: AsJson = False) -> None:
    """List the offerings with the books that price them, and from when until when each does."""
    lines = [
        {
            "offering": offering,
            "rate_book": document.book.id,
            "currency": document.book.currency,
            "effective_from": document.book.effective_from.isoformat(),
            "effective_until": None if until is None else until.isoformat(),
            "source": document.source,
        }
        for offering, document, until in _versions(read_documents(books, published=published))
    ]
    if as_json:
        result.print_json(json.dumps(lines))
        return
    # Ids and times are copied: in a narrow terminal nothing of them is left out.
    table = Table(box=None)
    for heading in ("offering", "rate book", "currency", "from", "until", "source"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("from", "until"))
    for line in lines:
        until = line["effective_until"]
        times = (str(line["effective_from"])[:16], "" if until is None else str(until)[:16])
        table.add_row(
            *(escape(str(line[key])) for key in ("offering", "rate_book", "currency")), *times, escape(Path(str(line["source"])).name)
        )
    result.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="OFFERING|BOOK", help="An offering, a rate book's id, or the file of one.")],
    at: At = None,
    books: Books = RATE_BOOKS,
    published: Published = False,
    as_json: AsJson = False,
) -> None:
    """Show what an offering costs, in words, as of now or --at; or all offerings of a book."""
    shown = list(_to_show(name, books, at.replace(tzinfo=UTC) if at else datetime.now(UTC), published=published))
    if as_json:
        result.print_json(json.dumps([_shown_as_json(document, offering) for document, offering in shown]))
        return
    for document, offering in shown:
        _print_sheet(document, offering, offering_sheet(document, offering))


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A rate book's id, or the file of one.")],
    new: Annotated[str, typer.Argument(help="Another.")],
    books: Books = RATE_BOOKS,
    published: Published = False,
    as_json: AsJson = False,
) -> None:
    """Say in words what changes from one rate book to another, and for whom; with --published also for how many products."""
    before, after = (find_document(name, books, published=published) for name in (old, new))
    changes = difference(before, after)
    products = count_products() if published else {}
    if as_json:
        told = [dataclasses.asdict(change) | ({"products": products.get(change.offering, 0)} if published else {}) for change in changes]
        result.print_json(json.dumps(told))
        return
    if not changes:
        result.print(f"{before.book.id} and {after.book.id} say the same", highlight=False)
    _print_changes(changes, products if published else None)


app.command("publish")(publish)
app.command("try")(try_book)
app.command("import-cgrates")(import_cgrates)


def _read_all(files: Iterable[Path]) -> tuple[list[BookDocument], list[Fault]]:
    sound: list[BookDocument] = []
    faults: list[Fault] = []
    for file in files:
        try:
            sound.append(read_document(file))
        except RateBookInvalid as error:
            faults += error.faults
    return sound, faults


def _versions(documents: Sequence[BookDocument]) -> list[tuple[str, BookDocument, datetime | None]]:
    """Every offering of every book with the end of its time, which is when a newer book has the offering in the same currency."""
    lines = []
    for document in documents:
        for offering in document.offerings:
            later = [
                other.book.effective_from
                for other in documents
                if offering in other.offerings
                and other.book.currency == document.book.currency
                and other.book.effective_from > document.book.effective_from
            ]
            lines.append((offering, document, min(later, default=None)))
    return sorted(lines, key=lambda line: (line[0], line[1].book.currency, line[1].book.effective_from))


def _to_show(name: str, books: Path, at: datetime, *, published: bool) -> Iterable[tuple[BookDocument, str]]:
    if names_file(name):
        document = find_document(name, books)
        return [(document, offering) for offering in document.offerings]
    documents = read_documents(books, published=published)
    effective = [
        (document, offering)
        for offering, document, until in _versions(documents)
        if offering == name and document.book.effective_from <= at and (until is None or at < until)
    ]
    if effective:
        return effective
    of_book = [(document, offering) for document in documents if document.book.id == name for offering in document.offerings]
    if of_book:
        return of_book
    if any(name in document.offerings for document in documents):
        raise CommandError(f"no rate book has offering {name} as of {at:%Y-%m-%d}", "see `tarifa tariff list` for its dates, and give --at")
    raise CommandError(f"neither an offering nor a rate book is named {name}", SEE_LIST)


def _shown_as_json(document: BookDocument, offering: str) -> dict[str, Any]:
    return {
        "offering": offering,
        "rate_book": document.book.id,
        "currency": document.book.currency,
        "effective_from": document.book.effective_from.isoformat(),
        "source": document.source,
        "terms": document.offerings[offering],
        "lines": [dataclasses.asdict(line) for line in offering_sheet(document, offering)],
    }


def _print_sheet(document: BookDocument, offering: str, lines: Sequence[SheetLine]) -> None:
    book = document.book
    result.print(
        f"[bold]{escape(offering)}[/bold]  in {book.currency}, rate book {escape(book.id)}, from {book.effective_from:%Y-%m-%d %H:%M} UTC"
    )
    table = Table("", "what", "for", "price", "conditions", box=None, pad_edge=False)
    for line in lines:
        what = escape(line.description or line.id) + (f" [dim]{escape(line.id)}[/dim]" if line.description else "")
        table.add_row(line.kind, what, escape(line.applies_to), escape(line.price), escape(", ".join(line.conditions)))
    result.print(table)


def _print_changes(changes: Sequence[Change], products: Mapping[str, int] | None) -> None:
    offering: str | None = None
    for change in changes:
        if change.offering != offering:
            offering = change.offering
            held = f" ({_counted(products.get(offering, 0), 'product')})" if products is not None else ""
            result.print(f"[bold]{escape(f'For customers of {offering}{held}' if offering else 'For everybody')}[/bold]")
        result.print(f"  {escape(change.words)}", soft_wrap=True)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
