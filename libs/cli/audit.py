"""`tarifa audit`: derive everything that is derived again, and report each difference."""

import asyncio
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.audit import Findings, audit
from libs.cli.audit_course import AuditCourse
from libs.cli.books_in_force import books_in_force
from libs.cli.errors import CommandError
from libs.devstack.settings import PROJECT_ROOT, StackSettings
from libs.devstack.stack import running_settings
from libs.pricing import RateBookInvalid, RateBooks
from libs.runtime import RuntimeSettings
from libs.runtime.settings import without_password

RATE_BOOKS = PROJECT_ROOT / "deploy" / "rate-books"
COURSE_FILE = "audit.json"
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
    as_of: Annotated[
        datetime | None, typer.Option(help="Miss the bill runs that were due at this UTC time, as for a copy of then. Now unless given.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on after the last step that an interrupted audit finished.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell the outcome as JSON.")] = False,
) -> None:
    """Compute charges, bills, balances and numbers again and report every difference. Exit 1 when there is any.

    Nothing is changed, and the services may go on. Each difference is looked at again: what has changed meanwhile is told as moving,
    and the next audit sees how it ended. Memory stays bounded; large sorts go to disk, here and in MongoDB.
    """
    began = time.monotonic()
    findings = asyncio.run(_audit(running_settings(), rate_books, (as_of or datetime.now(UTC)).replace(tzinfo=UTC), resume=resume))
    seconds = time.monotonic() - began
    if as_json:
        result.print_json(json.dumps(_as_json(findings, seconds)))
    else:
        _tell_people(findings, seconds)
    if not findings.is_clean:
        raise CommandError(f"{sum(findings.counts.values())} differences")


async def _audit(settings: RuntimeSettings, directory: Path, as_of: datetime, *, resume: bool) -> Findings:
    of = f"{without_password(settings.mongodb_url)} {settings.namespace}"
    course = AuditCourse(progress, StackSettings().home / COURSE_FILE, of, resume=resume)
    following = asyncio.create_task(course.follow())
    try:
        findings = await audit(settings, await _books(settings, directory), _say, as_of=as_of, course=course)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    course.forget()
    return findings


def _say(subject: str) -> None:
    # In a terminal the bar names it.
    if not progress.is_terminal:
        progress.print(f"auditing {subject}")


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
        "moving_counts": dict(findings.moving),
        "difference_counts": dict(findings.counts),
        "differences": [difference.model_dump(mode="json") for difference in findings.differences],
    }


def _tell_people(findings: Findings, seconds: float) -> None:
    for subject, count in findings.checked.items():
        result.print(f"{count:>12,}  {subject}")
    for category, count in sorted(findings.moving.items()):
        result.print(f"{count:>12,}  {category}: moving, not known to be wrong; audit again to see how it ended")
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
