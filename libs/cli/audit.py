"""`tarifa audit`: derive everything that is derived again, and report each difference."""

import asyncio
import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.audit import Findings, audit
from libs.cli.books_in_force import books_in_force
from libs.cli.errors import CommandError
from libs.devstack.settings import PROJECT_ROOT
from libs.devstack.stack import running_settings
from libs.pricing import RateBookInvalid, RateBooks
from libs.runtime import RuntimeSettings

RATE_BOOKS = PROJECT_ROOT / "deploy" / "rate-books"
# A table of more is not read; --json has those that were kept.
SHOWN_MAX = 50

app = typer.Typer()
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@app.command("audit")
def audit_command(
    rate_books: Annotated[
        Path, typer.Option(envvar="RATE_BOOKS_DIR", help="The rate books that rating has as files.", file_okay=False)
    ] = RATE_BOOKS,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
) -> None:
    """Compute charges, bills, balances and numbers again and report every difference. Exit 1 when there is any.

    Nothing is changed. Audit a system that is at rest: what is still on its way between services is reported as well.
    """
    began = time.monotonic()
    findings = asyncio.run(_audit(running_settings(), rate_books))
    seconds = time.monotonic() - began
    if as_json:
        result.print_json(json.dumps(_as_json(findings, seconds)))
    else:
        _tell_people(findings, seconds)
    if not findings.is_clean:
        raise CommandError(f"{sum(findings.counts.values())} differences")


async def _audit(settings: RuntimeSettings, directory: Path) -> Findings:
    return await audit(settings, await _books(settings, directory), lambda subject: progress.print(f"auditing {subject}"))


async def _books(settings: RuntimeSettings, directory: Path) -> RateBooks:
    try:
        return await books_in_force(settings, directory)
    except RateBookInvalid as error:
        raise CommandError(f"the rate books in {directory} cannot be used: {error}", "name those of rating with --rate-books") from error


def _as_json(findings: Findings, seconds: float) -> dict[str, Any]:
    return {
        "clean": findings.is_clean,
        "seconds": seconds,
        "checked": dict(findings.checked),
        "difference_counts": dict(findings.counts),
        "differences": [difference.model_dump(mode="json") for difference in findings.differences],
    }


def _tell_people(findings: Findings, seconds: float) -> None:
    for subject, count in findings.checked.items():
        result.print(f"{count:>12,}  {subject}")
    if findings.is_clean:
        result.print(f"no difference found in {seconds:.1f} s")
        return
    table = Table("category", "id", "expected", "found", box=None)
    for difference in findings.differences[:SHOWN_MAX]:
        table.add_row(*(escape(field) for field in (difference.category, difference.id, difference.expected, difference.found)))
    result.print(table)
    for category, count in sorted(findings.counts.items()):
        result.print(f"{count:>12,}  {category}")
    if len(findings.differences) > SHOWN_MAX:
        result.print(f"the first {SHOWN_MAX} are shown; --json tells more")
