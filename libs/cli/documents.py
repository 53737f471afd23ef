"""`tarifa documents`: bills whose PDF has empty boxes because no font had glyphs for a text, and rendering them again.

Invoicing's collections are only read here; rendering again is a fact that invoicing acts on and answers.
"""

import asyncio
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from libs.cli.conversation import ask
from libs.cli.errors import CommandError
from libs.contracts import BillDocumentRendered, BillDocumentRequested
from libs.devstack.stack import running_settings
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect, database

# A list of more is not read; --json has them all.
SHOWN_MAX = 100

app = typer.Typer(help="See which bills have empty boxes for want of a font; render them again.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]


@app.command()
def lacking(as_json: AsJson = False) -> None:
    """List the bills whose document has empty boxes, the latest first, with the texts that no font had."""
    found = asyncio.run(_lacking(running_settings()))
    if as_json:
        result.print_json(json.dumps([{**entry, "rendered_at": entry["rendered_at"].isoformat()} for entry in found]))
        return
    if not found:
        progress.print("every document has all its glyphs")
    for entry in found[:SHOWN_MAX]:
        result.print(
            f"{entry['rendered_at']:%Y-%m-%d %H:%M:%S}  {escape(entry['bill_id'])}  {escape(' '.join(entry['texts']))}", soft_wrap=True
        )
    if len(found) > SHOWN_MAX:
        progress.print(f"and {len(found) - SHOWN_MAX} more; --json has them all")


@app.command()
def render(
    bill_ids: Annotated[list[str] | None, typer.Argument(metavar="[BILL]...", help="As listed.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All whose document has empty boxes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Render documents again that had empty boxes, once a font is installed and invoicing was restarted. Exit 1 where some still have."""
    if bool(bill_ids) == everything:
        raise typer.BadParameter("name bills, or choose --all")
    rendered, still = asyncio.run(_render(running_settings(), bill_ids or []))
    if as_json:
        result.print_json(json.dumps({"rendered": rendered, "still_lacking": still}))
    else:
        progress.print(f"{len(rendered)} rendered again, {len(still)} of them still have empty boxes")
    if still:
        raise CommandError(f"no font has glyphs for texts of {still[0]}", "install one, then `tarifa down` and `tarifa up`")


async def _render(settings: RuntimeSettings, bill_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    wanted = list(bill_ids) or [entry["bill_id"] for entry in await _lacking(settings)]
    accounts = await _accounts(settings, wanted)
    unknown = [bill_id for bill_id in wanted if bill_id not in accounts]
    if unknown:
        raise CommandError(f"there is no bill {unknown[0]}", "see `tarifa documents lacking`")
    now = datetime.now(UTC)
    requests = [
        BillDocumentRequested(id=uuid.uuid4().hex, bill_id=bill_id, account_id=accounts[bill_id], requested_at=now, is_anew=True)
        for bill_id in wanted
    ]
    if requests:
        await ask(settings, requests, [BillDocumentRendered], what="documents")
    lacking_now = {entry["bill_id"] for entry in await _lacking(settings)}
    return wanted, [bill_id for bill_id in wanted if bill_id in lacking_now]


async def _lacking(settings: RuntimeSettings) -> list[dict[str, Any]]:
    async with connect(settings) as client:
        found = await database(client, settings, "invoicing")["lacking_glyphs"].find().sort("rendered_at", -1).to_list()
    return [{"bill_id": entry["bill_id"], "texts": entry["texts"], "rendered_at": entry["rendered_at"]} for entry in found]


async def _accounts(settings: RuntimeSettings, bill_ids: Sequence[str]) -> dict[str, str]:
    async with connect(settings) as client:
        bills = database(client, settings, "invoicing")["bills"].find({"_id": {"$in": list(bill_ids)}}, {"account_id": 1})
        return {bill["_id"]: bill["account_id"] async for bill in bills}
