"""`tarifa hub deliveries | retry | key`: what the hub's subscribers were sent, sending parked deliveries again, and the
key that a subscriber verifies its deliveries with."""

import asyncio
import os
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.cli.conversation import publish
from libs.cli.errors import CommandError
from libs.contracts import DeliveryRetryRequested
from libs.devstack.stack import running_settings
from libs.exact_decimal import KEPT
from libs.exact_json import read_json, write_json
from libs.hub_signature import subscription_key
from libs.runtime import RuntimeSettings
from libs.runtime.mongo import connect, database

# An environment variable and no option: a command line is seen by everybody on the machine, and kept in histories.
SIGNING_SECRET = "HUB_SIGNING_SECRET"
STATES = ("pending", "delivered", "parked", "cancelled")

app = typer.Typer(help="What the subscribers of the TM Forum hub were sent, and the keys that they verify it with.", no_args_is_help=True)
progress = Console(stderr=True, highlight=False)
result = Console(highlight=False)


@app.command()
def deliveries(
    state: Annotated[str | None, typer.Option(help=f"Only those in this state: {', '.join(STATES)}.")] = None,
    subscription: Annotated[str | None, typer.Option(help="Only those of this subscription.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as a JSON array on standard output.")] = False,
) -> None:
    """The delivery log: each event owed to a subscriber, its state and its attempts, newest first."""
    if state is not None and state not in STATES:
        raise typer.BadParameter(f"{state!r} is not a state; the states are {', '.join(STATES)}", param_hint="--state")
    wanted = {name: value for name, value in (("state", state), ("subscription_id", subscription)) if value is not None}
    found = asyncio.run(_deliveries(running_settings(), wanted, limit))
    if as_json:
        print(write_json([_for_machines(delivery) for delivery in found]).decode())
    elif found:
        result.print(_table(found))
    else:
        progress.print("no such deliveries")


@app.command()
def retry(delivery_id: Annotated[str, typer.Argument(metavar="ID", help="As `tarifa hub deliveries` shows it.")]) -> None:
    """Send a parked delivery again, with all its tries anew."""
    asyncio.run(_retry(running_settings(), delivery_id))
    progress.print(f"asked for {delivery_id} to be sent again; see `tarifa hub deliveries`", markup=False, soft_wrap=True)


@app.command()
def key(subscription_id: Annotated[str, typer.Argument(metavar="SUBSCRIPTION", help="The id that POST /hub answered with.")]) -> None:
    """The key that this subscriber verifies X-Tarifa-Signature with; hand it over on a safe way."""
    secret = os.environ.get(SIGNING_SECRET)
    if not secret:
        raise CommandError(f"{SIGNING_SECRET} is not set", "set it to what notifications runs with")
    if not asyncio.run(_is_subscribed(running_settings(), subscription_id)):
        raise CommandError(f"there is no subscription {subscription_id}", "POST /hub answers with the id of the one it made")
    print(subscription_key(secret, subscription_id))


async def _is_subscribed(settings: RuntimeSettings, subscription_id: str) -> bool:
    wanted = {"_id": subscription_id, "removed": False}
    async with connect(settings) as client:
        return await database(client, settings, "notifications")["subscriptions"].count_documents(wanted) == 1


async def _deliveries(settings: RuntimeSettings, wanted: dict[str, str], limit: int) -> list[dict[str, Any]]:
    async with connect(settings) as client:
        found = database(client, settings, "notifications")["deliveries"].find(wanted).sort("created_at", -1).limit(limit)
        return await found.to_list()


async def _retry(settings: RuntimeSettings, delivery_id: str) -> None:
    async with connect(settings) as client:
        delivery = await database(client, settings, "notifications")["deliveries"].find_one({"_id": delivery_id}, {"state": 1})
    if delivery is None:
        raise CommandError(f"there is no delivery {delivery_id}", "list them with `tarifa hub deliveries --state parked`")
    if delivery["state"] != "parked":
        raise CommandError(f"delivery {delivery_id} is {delivery['state']}", "only parked ones can be retried")
    await publish(settings, [DeliveryRetryRequested(id=uuid.uuid4().hex, delivery_id=delivery_id, requested_at=datetime.now(UTC))])


def _for_machines(delivery: dict[str, Any]) -> dict[str, Any]:
    return {"id": delivery.pop("_id"), **delivery, "body": read_json(delivery["body"], KEPT)}


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("id", "event", "resource", "state", "tries", "last attempt", "outcome", box=None)
    for delivery in found:
        last = delivery["attempts"][-1] if delivery["attempts"] else None
        table.add_row(
            delivery["_id"],
            delivery["event_type"],
            delivery["resource_id"],
            delivery["state"],
            str(len(delivery["attempts"])),
            f"{last['at']:%Y-%m-%d %H:%M:%S}Z" if last else "",
            delivery["reason"] or (last["error"] or f"HTTP {last['status']}" if last else ""),
        )
    return table
