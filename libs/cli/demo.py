"""`tarifa demo`: a month of real telephone traffic through the whole stack, and what the bills say against what was published."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from libs.cli.bill_run import run_cycle
from libs.cli.errors import CommandError
from libs.cli.stack import say
from libs.contracts import BillRunState
from libs.demo.billed import read_billed
from libs.demo.churn import ChurnCustomer, ChurnDataFault, read_customers
from libs.demo.comparison import compare_with_published
from libs.demo.mediation import Call, Mediation
from libs.demo.numbers import SUBSCRIBERS_MAX
from libs.demo.on_demand import fetch_pdf, read_bill, request_bill
from libs.demo.onboarding import GatewayRefused, cycle_name, next_cohort, open_accounts
from libs.demo.outcome import DemoOutcome
from libs.demo.replay import RatingStandsStill, replay
from libs.devstack.settings import PROJECT_ROOT, StackSettings
from libs.devstack.stack import Stack, running_service_url, running_settings
from libs.exact_json import write_json
from libs.periods import calendar_month
from libs.runtime import RuntimeSettings
from libs.runtime.lag import NotSettled, settled

SHIPPED_DATA = PROJECT_ROOT / "deploy" / "demo" / "telecom-churn-bigml-80.csv"
# West of every state: when the month is over there, it is over for all customers.
LAST_ZONE = "Pacific/Honolulu"
HTTP_TIMEOUT_S = 30.0
SETTLE_MAX_S = 300.0

app = typer.Typer()
result = Console(highlight=False)


@dataclass(frozen=True)
class Show:
    """What there is to tell at the end: the figures, and one bill to look at."""

    outcome: DemoOutcome
    bill: dict[str, Any]
    pdf: Path
    gateway_url: str


@app.command()
def demo(
    customers: Annotated[str, typer.Option(metavar="COUNT|all", help="How many customers of the data set.")] = "200",
    data: Annotated[Path, typer.Option(dir_okay=False, help="A file of the format of BigML's churn data set.")] = SHIPPED_DATA,
    seed: Annotated[int, typer.Option(help="Another seed spreads the same minutes over other calls.")] = 1,
    period: Annotated[str, typer.Option(metavar="YYYY-MM", help="The month in which they call; it must be over.")] = "2026-03",
    as_json: Annotated[bool, typer.Option("--json", help="Tell the figures as JSON.")] = False,
    keep_running: Annotated[bool, typer.Option("--keep-running/--down", help="Leave the stack running at the end, or stop it.")] = True,
) -> None:
    """Bill a month of real telephone traffic, and compare every bill line with the charge that was published.

    Starts the stack if it does not run. Each demo opens customers of its own, with numbers and a billing cycle of their own,
    so it can be run as often as you like beside whatever is there. Exit 1 when a figure is not what it should be.
    """
    calling = _read(data, customers)
    _require_past(period)
    show = asyncio.run(_run(calling, period, seed, keep_running=keep_running))
    if as_json:
        typer.echo(write_json(dict(show.outcome.to_json())))
    else:
        _tell(show)
    if keep_running:
        _tell_where_to_look(show)
    faults = show.outcome.faults(shipped_data=data.resolve() == SHIPPED_DATA)
    if faults:
        raise CommandError("; ".join(faults), "see `tarifa suspense list`, `tarifa parked list` and `tarifa audit`")


def _read(data: Path, customers: str) -> list[ChurnCustomer]:
    if customers != "all" and not (customers.isascii() and customers.isdecimal() and int(customers)):
        raise typer.BadParameter(f"{customers!r} is neither a number of customers nor `all`", param_hint="--customers")
    try:
        found = read_customers(data, None if customers == "all" else int(customers))
    except (ChurnDataFault, OSError) as error:
        raise CommandError(str(error), "give another file by --data", exit_code=2) from error
    if not any(customer.call_count for customer in found):
        raise CommandError(f"nobody calls in {data.name}", "give another file by --data", exit_code=2)
    if len(found) > SUBSCRIBERS_MAX:
        raise CommandError(f"{len(found)} customers are too many", f"take at most {SUBSCRIBERS_MAX} by --customers", exit_code=2)
    return found


def _require_past(period: str) -> None:
    try:
        month = calendar_month(period, LAST_ZONE)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--period") from error
    if month.end > datetime.now(UTC):
        raise typer.BadParameter(f"{period} is not over yet", param_hint="--period")


async def _run(customers: Sequence[ChurnCustomer], period: str, seed: int, *, keep_running: bool) -> Show:
    stack = Stack(StackSettings(), say)
    try:
        for condition in await stack.up():
            if condition.missing:
                raise CommandError(condition.missing, f"see `tarifa logs {condition.name}`")
        async with httpx.AsyncClient(base_url=running_service_url("tmf_gateway"), timeout=HTTP_TIMEOUT_S, trust_env=False) as gateway:
            return await _show(customers, period, seed, running_settings(), gateway)
    except (GatewayRefused, httpx.HTTPError, NotSettled, RatingStandsStill) as error:
        raise CommandError(str(error) or type(error).__name__, "see `tarifa status` and `tarifa logs`") from error
    finally:
        if not keep_running:
            await stack.down()


async def _show(customers: Sequence[ChurnCustomer], period: str, seed: int, settings: RuntimeSettings, gateway: httpx.AsyncClient) -> Show:
    mediation = Mediation(period, seed, await next_cohort(gateway))
    say(f"demo {mediation.cohort}: customers, numbers and a billing cycle of its own, calling in {period}")
    account_ids, onboarding_s = await _open_accounts(mediation, customers, settings, gateway)
    calls = sorted(call for customer in customers for call in mediation.calls(customer))
    rating_s = await _replay(calls, settings)

    calling = [customer for customer in customers if customer.call_count]
    bill, on_demand_s = await _bill_now(account_ids[calling[0].number], gateway)
    with _counter() as bars:
        run = await run_cycle(settings, cycle_name(mediation.cohort), period, bars)
    if run.state is BillRunState.REFUSED or run.completed_at is None:
        raise CommandError(f"the run {run.id} is {run.state}: {run.reason}", "see `tarifa logs operations`")
    billed = await read_billed(settings, account_ids)
    outcome = DemoOutcome(
        customer_count=len(customers),
        calling_customer_count=len(calling),
        usage_count=len(calls),
        billed_usage_count=billed.usage_count,
        bill_count=billed.bill_count,
        run_bill_count=run.counts.billed,
        comparison=compare_with_published(customers, billed.amounts),
        onboarding_s=onboarding_s,
        rating_s=rating_s,
        run_s=(run.completed_at - run.started_at).total_seconds(),
        on_demand_s=on_demand_s,
    )
    return Show(outcome, bill, await _save_pdf(gateway, bill), str(gateway.base_url).rstrip("/"))


async def _open_accounts(
    mediation: Mediation, customers: Sequence[ChurnCustomer], settings: RuntimeSettings, gateway: httpx.AsyncClient
) -> tuple[dict[int, str], float]:
    with _bars() as bars:
        bar = bars.add_task("customers opened", total=len(customers))
        started = time.monotonic()
        account_ids = await open_accounts(gateway, mediation, customers, lambda: bars.advance(bar))
        taken_s = time.monotonic() - started
    await settled(settings, SETTLE_MAX_S)
    return account_ids, taken_s


async def _replay(calls: Sequence[Call], settings: RuntimeSettings) -> float:
    with _bars() as bars:
        published, rated = (bars.add_task(f"calls {done}", total=len(calls)) for done in ("published", "rated"))
        taken_s = await replay(
            settings,
            calls,
            lambda count: bars.update(published, completed=count),
            lambda count: bars.update(rated, completed=count),
        )
    await settled(settings, SETTLE_MAX_S)
    return taken_s


async def _bill_now(account_id: str, gateway: httpx.AsyncClient) -> tuple[dict[str, Any], float]:
    """Ask for a bill of one account, showing the states of the request; the bill, and the seconds it took."""
    started = time.monotonic()
    request = await request_bill(gateway, account_id, lambda state, after_s: say(f"bill on demand: {state} after {after_s:.2f} s"))
    taken_s = time.monotonic() - started
    if request["state"] != "done":
        raise GatewayRefused(f"the bill on demand ended as {request['state']}: {request.get('stateReason', '')}")
    return await read_bill(gateway, request["customerBill"]["id"]), taken_s


async def _save_pdf(gateway: httpx.AsyncClient, bill: dict[str, Any]) -> Path:
    file = StackSettings().home / "demo" / f"{bill['billNo'].replace('/', '-')}.pdf"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(await fetch_pdf(gateway, bill))
    return file


def _bars() -> Progress:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True, highlight=False))


def _counter() -> Progress:
    """Without a bar: what it describes is long."""
    return Progress(TextColumn("{task.description}"), MofNCompleteColumn(), console=Console(stderr=True, highlight=False))


def _tell(show: Show) -> None:
    outcome, comparison = show.outcome, show.outcome.comparison
    table = Table("", "", "", show_header=False, box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.columns[1].justify = "right"
    table.add_row("customers", f"{outcome.customer_count:,}", f"opened over the TM Forum APIs in {outcome.onboarding_s:.1f} s")
    table.add_row("calls", f"{outcome.usage_count:,}", f"rated in {outcome.rating_s:.1f} s: {outcome.usages_per_s:,} a second")
    table.add_row("bill on demand", "1", f"done in {outcome.on_demand_s:.2f} s")
    table.add_row("bills by the run", f"{outcome.run_bill_count:,}", f"in {outcome.run_s:.1f} s: {outcome.bills_per_s:,} a second")
    table.add_row("charges", f"{comparison.total:,}", "USD before tax, all bill lines")
    result.print(table)
    result.print(
        f"{comparison.equal_count:,} of {comparison.line_count:,} bill lines equal the published charge, "
        f"{comparison.cent_above_count} are one cent above it, {comparison.wrong_count} differ otherwise",
        soft_wrap=True,
    )


def _tell_where_to_look(show: Show) -> None:
    say("")
    for what, where in (
        ("the APIs", f"{show.gateway_url}/docs"),
        ("a bill", show.bill["href"]),
        ("its PDF", show.bill["billDocument"][0]["url"]),
        ("", f"also in {show.pdf}"),
        ("health", f"{show.gateway_url}/health/ready"),
        ("metrics", f"{show.gateway_url}/metrics"),
    ):
        say(f"{what:<10}{where}")
    say("The stack runs on; `tarifa down` stops it.")
