"""`tarifa suspense` against a running rating: what it lists, and what it tells of a retry and a discard."""

import asyncio
import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from libs.cli import app
from tests.rating_world import RatingWorld, account, call, number, product

ADA = "+12125550001"


async def tarifa(*arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, app, ["suspense", *arguments])


async def told(*arguments: str) -> Any:
    outcome = await tarifa(*arguments, "--json")
    assert outcome.exit_code == 0, outcome.exception or outcome.output
    return json.loads(outcome.stdout)


async def test_operatives_list_retry_and_discard_what_waits(rating: RatingWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", rating.settings.kafka_bootstrap_servers)
    monkeypatch.setenv("MONGODB_URL", rating.settings.mongodb_url)
    monkeypatch.setenv("TARIFA_NAMESPACE", rating.settings.namespace)
    await rating.publish(account("ada"), call("u-1", ADA, seconds=90), call("u-2", ADA, unit="byte"))
    await rating.publish_raw(b"{broken")
    await rating.settle()
    # Else the product would have its usage rated by itself.
    await rating.service.database["suspense"].update_many({}, {"$unset": {"waits_for": 1}})
    await rating.publish(product("line", "ada", number(ADA)))
    await rating.settle()

    waiting = {entry["reason"]: entry for entry in await told("list")}
    assert set(waiting) == {"unknown-product", "malformed"}
    assert (waiting["malformed"]["body"], waiting["malformed"]["usage"]) == ("{broken", None)
    assert len(await told("list", "--reason", "unknown-product")) == 2

    assert await told("retry", "--reason", "unknown-product") == {"rated": 1, "suspended": 1, "discarded": 0, "refusals": []}
    (unit,) = await told("list", "--reason", "wrong-unit")
    assert unit["usage"]["id"] == "u-2"
    assert (await told("discard", unit["id"], "--note", "not ours"))["discarded"] == 1
    assert (await told("show", unit["id"]))["note"] == "not ours"

    again = await tarifa("discard", unit["id"], "--note", "again")
    assert again.exit_code == 1
    assert [entry["reason"] for entry in await told("list")] == ["malformed"]
