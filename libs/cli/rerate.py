"""`tarifa rerate`: usage that was rated, priced anew; what differs is corrected on its charges, or on the next bill.

The command asks rating with a fact and waits for its answer. A request is known by what it asks for: asked again on the same day, it is
answered as before and changes nothing.
"""

import asyncio
import hashlib
import json
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from libs.cli.conversation import asked
from libs.cli.errors import CommandError
from libs.contracts import ChargeDifference, ChargeKind, RerateCompleted, RerateRequested
from libs.devstack.stack import running_settings
from libs.exact_json import write_json
from libs.money import sum_exactly
from libs.periods import Period, time_zone, to_utc_milliseconds
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect, database

# Rating tells how far it has come after every step, which takes it a second at most.
SILENCE_MAX_S = 60.0
# A table of more is not read; --json has them all.
SHOWN_MAX = 100
ID_DIGITS = 32

app = typer.Typer()
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@app.command()
def rerate(
    account: Annotated[str, typer.Option(help="Whose usage.")],
    start: Annotated[str, typer.Option("--from", metavar="T", help="From when on: a day or an instant, local to the account.")],
    end: Annotated[str, typer.Option("--to", metavar="T", help="Until before when.")],
    book: Annotated[str | None, typer.Option(help="By this rate book for the offerings that it has, whenever it takes effect.")] = None,
    present_offering: Annotated[
        bool, typer.Option("--present-offering", help="By the offering that a product has now, not the one by which its usage stands.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would differ, and change nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Although the same was asked for today.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Tell it as JSON.")] = False,
) -> None:
    """Price an account's usage anew; what differs is corrected on its open charges, or on the next bill."""
    completed, zone_name = asyncio.run(
        _rerate(account, (start, end), book, by_present_offering=present_offering, dry_run=dry_run, again=again)
    )
    if completed.refusal is not None:
        raise CommandError(completed.refusal)
    if as_json:
        result.print(write_json(_as_json(completed)).decode(), soft_wrap=True)
    else:
        _tell(completed, zone_name)


def rerate_id(account: str, period: Period, book: str | None, day: str, *, by_present_offering: bool, dry_run: bool) -> str:
    """The id of a request: the same for the same, all day long."""
    asked = [account, period.start.isoformat(), period.end.isoformat(), book, by_present_offering, dry_run, day]
    return f"rerate-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:ID_DIGITS]}"


async def _rerate(
    account: str, interval: tuple[str, str], book: str | None, *, by_present_offering: bool, dry_run: bool, again: bool
) -> tuple[RerateCompleted, str]:
    settings = running_settings()
    zone_name = await _zone_of(settings, account)
    period = _period(*interval, zone_name)
    now = to_utc_milliseconds(datetime.now(UTC))
    id = rerate_id(account, period, book, now.date().isoformat(), by_present_offering=by_present_offering, dry_run=dry_run)
    try:
        request = RerateRequested(
            id=f"{id}-{uuid.uuid4().hex[:8]}" if again else id,
            account_id=account,
            period=period,
            rate_book=book,
            by_present_offering=by_present_offering,
            dry_run=dry_run,
            requested_at=now,
        )
    except ValidationError as error:
        raise CommandError(f"the request is not sound: {error.errors()[0]['msg']}") from None
    return await _ask(settings, request), zone_name


async def _zone_of(settings: RuntimeSettings, account_id: str) -> str:
    client = connect(settings)
    try:
        document = await database(client, settings, "rating")["accounts"].find_one({"_id": account_id}, {"time_zone": 1})
    finally:
        await client.close()
    if document is None or "time_zone" not in document:
        raise CommandError(f"rating knows no account {account_id}")
    return document["time_zone"]


def _period(start: str, end: str, zone_name: str) -> Period:
    try:
        return Period(start=_instant(start, zone_name), end=_instant(end, zone_name))
    except ValidationError as error:
        raise CommandError(f"--from {start} --to {end}: {error.errors()[0]['ctx']['error']}") from None


def _instant(text: str, zone_name: str) -> datetime:
    """A day, `2026-03-01`, or an instant, with an offset or by the clock of that zone."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"{text!r} is no time", "write a day, 2026-03-01, or an instant, 2026-03-01T12:00:00+01:00") from None
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=time_zone(zone_name))


async def _ask(settings: RuntimeSettings, request: RerateRequested) -> RerateCompleted:
    """Publish the request and wait for its end, telling how far it has come."""
    async with asked(settings, [request], (RerateRequested, RerateCompleted)) as next_fact:
        while True:
            try:
                async with asyncio.timeout(SILENCE_MAX_S):
                    told = await next_fact()
            except TimeoutError:
                raise CommandError(
                    f"rating told nothing of request {request.id} for {SILENCE_MAX_S:g} s",
                    "see `tarifa status`; ask the same again to hear how it ended",
                ) from None
            match told:
                case RerateCompleted(id=request.id):
                    if told.completed_at < request.requested_at:
                        progress.print(f"asked for before, and done at {told.completed_at.isoformat()}: --again prices anew")
                    return told
                case RerateRequested(id=request.id) if told.progress is not None:
                    progress.print(f"{told.progress.usage_count} usages so far, up to {told.progress.resume_at.isoformat()}")


def _tell(completed: RerateCompleted, zone_name: str) -> None:
    currency = completed.currency or ""
    if completed.differences:
        table = Table(box=None, header_style="dim")
        for heading in ("charge", "product", "period from"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "period from")
        for heading in ("usages", "quantity", "before", "after", "difference"):
            table.add_column(heading, justify="right", no_wrap=True)
        for difference in completed.differences[:SHOWN_MAX]:
            moved = f"{difference.usage_count:+d}" if difference.usage_count else ""
            quantity = f"{difference.quantity:+f}" if difference.quantity else ""
            table.add_row(
                escape(difference.description),
                escape(difference.product_id),
                difference.period.start.astimezone(time_zone(zone_name)).date().isoformat(),
                *(moved, quantity, str(difference.before), str(difference.after), _signed(_difference(difference))),
            )
        result.print(table)
        if len(completed.differences) > SHOWN_MAX:
            progress.print(f"and {len(completed.differences) - SHOWN_MAX} more; --json has them all")
    told = f"{completed.rerated_count} of {completed.usage_count} usages {'would have' if completed.dry_run else 'have'} another price"
    amounts = f"{completed.before} before, {completed.after} after, {_signed(_difference(completed))} {currency}"
    result.print(f"{told}: {amounts} without tax", soft_wrap=True)
    corrected = [_difference(each) for each in completed.differences if each.kind is ChargeKind.ADJUSTMENT]
    if corrected:
        result.print(f"{_signed(sum_exactly(corrected))} {currency} of it is on the next bill, for charges that were cut", soft_wrap=True)
    if completed.unpriced_count:
        result.print(f"{completed.unpriced_count} usages have no price any more and stay as they are, such as", soft_wrap=True)
        result.print(f"  {escape(completed.unpriced_example or '')}", soft_wrap=True)
    if completed.stopped_at is not None:
        since = completed.stopped_at.isoformat()
        progress.print(f"so much differs that this is only what began before: ask for the rest with --from {since}", soft_wrap=True)


def _difference(told: ChargeDifference | RerateCompleted) -> Decimal:
    return sum_exactly([told.after, told.before.copy_negate()])


def _signed(amount: Decimal) -> str:
    return f"{amount:+f}" if amount else f"{amount:f}"


def _as_json(completed: RerateCompleted) -> dict[str, Any]:
    body = completed.model_dump(exclude={"refusal", "differences"})
    differences = [{**each.model_dump(), "difference": _difference(each)} for each in completed.differences]
    return {**body, "difference": _difference(completed), "differences": differences}
