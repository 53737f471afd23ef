"""`tarifa bench`: how fast it is, measured on this machine, with everything on it."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from libs.bench.api import ApiBench
from libs.bench.billing import BillingBench
from libs.bench.pricing import PricingBench
from libs.bench.rating import RatingBench
from libs.devstack import Infrastructure, StackSettings
from libs.runtime import RuntimeSettings

app = typer.Typer(help="Measure how fast it is on this machine.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Tell it as JSON.")]
Runs = Annotated[int, typer.Option(min=1, help="How often to measure; the medians are told.")]


@asynccontextmanager
async def servers(directory: Path) -> AsyncIterator[RuntimeSettings]:
    """The Kafka and MongoDB to measure on: those that the environment names, else own ones for as long as it takes."""
    infrastructure = await Infrastructure.resolve(StackSettings().on_free_ports(), directory)
    try:
        await infrastructure.start()
        yield infrastructure.settings()
    finally:
        await infrastructure.stop()


def tell(figures: dict[str, object], *, as_json: bool) -> None:
    """Figures to standard output."""
    if as_json:
        result.print_json(json.dumps(figures))
        return
    runs = figures["runs"]
    for name, figure in figures.items():
        if name != "runs":
            each = f"  (runs: {', '.join(map(str, runs[name]))})" if isinstance(runs, dict) and name in runs else ""
            result.print(f"{name:24} {figure}{each}")


@app.command()
def rating(
    usages: Annotated[int, typer.Option(min=10_000, help="Usages per run.")] = 300_000,
    accounts: Annotated[int, typer.Option(min=1, help="Accounts, each with one product.")] = 200_000,
    runs: Runs = 3,
    batch_size: Annotated[int, typer.Option(min=1, help="Usages per transaction.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Usages per second of one rating worker: from Kafka, priced, into MongoDB, published, committed; beside a floor without pricing.

    Told for calls of all accounts and for calls of 20,000 of them.
    """

    async def measure() -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="tarifa-bench-") as directory:
            async with servers(Path(directory)) as infrastructure:
                return await RatingBench(usages, accounts, runs, batch_size).measure(infrastructure, Path(directory), progress.print)

    tell(asyncio.run(measure()), as_json=as_json)


@app.command()
def pricing(
    usages: Annotated[int, typer.Option(min=1_000, help="Usages per run.")] = 200_000,
    runs: Annotated[int, typer.Option(min=1, help="How often to measure; the medians are told.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Usages per second that pricing alone prices on one core: many prefixes and time bands, many offerings, tiers with allowances."""
    tell(PricingBench(usages, runs).measure(progress.print), as_json=as_json)


@app.command()
def billing(
    accounts: Annotated[int, typer.Option(min=1, help="Accounts of the large cycle, each with four charges a month.")] = 10_000,
    small_accounts: Annotated[int, typer.Option(min=1, help="Accounts of the small cycle, to compare the cost of a bill with.")] = 1_000,
    runs: Annotated[int, typer.Option(min=1, max=9, help="How often to measure; the medians are told.")] = 3,
    documents: Annotated[int, typer.Option(min=1, help="Documents to render, measured beside.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Bills per second of a cycle run over four services, its cost per bill at two sizes, and documents per second."""

    async def measure() -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="tarifa-bench-") as directory:
            async with servers(Path(directory)) as infrastructure:
                bench = BillingBench(accounts, small_accounts, runs, documents)
                return await bench.measure(infrastructure, Path(directory), progress.print)

    tell(asyncio.run(measure()), as_json=as_json)


@app.command()
def api(
    bills: Annotated[int, typer.Option(min=1_000, help="Bills stored, ten per account, each with four rates.")] = 100_000,
    runs: Runs = 3,
    as_json: AsJson = False,
) -> None:
    """How long clients of the gateway wait: list, get, PATCH, POST on demand and its time to done; one at a time and 32 at once."""

    async def measure() -> dict[str, object]:
        with tempfile.TemporaryDirectory(prefix="tarifa-bench-") as directory:
            async with servers(Path(directory)) as infrastructure:
                return await ApiBench(bills, runs).measure(infrastructure, Path(directory), progress.print)

    tell(asyncio.run(measure()), as_json=as_json)
