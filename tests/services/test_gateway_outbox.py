"""The outbox gets past what can never be published, and nothing that cannot be announced is stored."""

import asyncio
import json
import time
from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from libs.contracts import AccountChanged, AccountState, HubEventRaised
from libs.runtime import RuntimeSettings
from libs.runtime.publisher import MESSAGE_BYTES_MAX
from services.tmf_gateway.domain.links import TMF666
from tests.command_line import run_tarifa
from tests.gateway_client import GatewayClient
from tests.world import GATEWAY, WAIT_S, build_service, read_told

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNTS = f"{TMF666}/billingAccount"
PARTY = {"id": "p1", "name": "Ada", "@referredType": "Individual"}


async def eventually(condition):
    """Wait, within bounds, until the condition holds."""
    deadline = time.monotonic() + WAIT_S
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


def account_changed(id: str) -> AccountChanged:
    return AccountChanged(
        id=id,
        revision=1,
        name=id,
        state=AccountState.ACTIVE,
        currency="EUR",
        time_zone="UTC",
        cycle="monthly",
        tax_category="standard",
        changed_at=LONG_AGO,
    )


def left_behind(id: str, *messages: tuple[str, bytes]) -> dict[str, Any]:
    outbox = [{"revision": 1, "topic": topic, "message": message} for topic, message in messages]
    return {"_id": id, "revision": 1, "changed_at": LONG_AGO, "created_at": LONG_AGO, "resource": {}, "outbox": outbox}


def event(envelope: bytes) -> tuple[str, bytes]:
    body = b'{"id":"e1","api":"TMF666","event_type":"X","resource_id":"r1","raised_at":"2026-01-01T00:00:00Z","envelope":{"a":%s}}'
    return HubEventRaised.topic, body % envelope


UNPUBLISHABLE = {
    "oversized": event(b'"' + b"x" * (MESSAGE_BYTES_MAX + 1) + b'"'),
    "too-large-a-number": event(b"1" + b"0" * 40),
    "not-json": (AccountChanged.topic, b"{"),
    "another-fact": (AccountChanged.topic, b'{"id":"x"}'),
    "no-such-topic": ("nowhere.v1", b"{}"),
    "no-message": (AccountChanged.topic, None),
}


async def test_what_can_never_be_published_is_parked_and_the_rest_goes_on(settings: RuntimeSettings):
    service = build_service("tmf_gateway", settings)
    accounts = service.database["billing_accounts"]
    good = (AccountChanged.topic, account_changed("beside").to_message())
    documents = [left_behind(f"bad-{name}", message, good) for name, message in UNPUBLISHABLE.items()]
    after = left_behind("zz-good", (AccountChanged.topic, account_changed("after").to_message()))
    await accounts.insert_many([*documents, after])
    async with service.running():

        async def emptied() -> bool:
            return not await accounts.count_documents({"outbox.revision": {"$gt": 0}})

        await eventually(emptied)
        told = [fact.id for fact in await read_told(settings, AccountChanged)]
        parked = await service.database["parked"].find().to_list()
        # The task lives on: what is left behind later is published, too.
        await accounts.insert_one(left_behind("later", (AccountChanged.topic, account_changed("later").to_message())))
        await eventually(emptied)
        told_later = [fact.id for fact in await read_told(settings, AccountChanged)]
        down = await service._down()

    assert set(told) == {"beside", "after"}
    assert "later" in told_later
    assert all(kept["reason"] for kept in parked)
    assert {b64decode(kept["message_key"]).decode(): b64decode(kept["body"]) for kept in parked} == {
        f"billing_accounts/bad-{name}": message or b"" for name, (_, message) in UNPUBLISHABLE.items()
    }
    assert down == {}


async def test_an_operator_sees_retries_mends_and_discards_what_the_outbox_parked(settings: RuntimeSettings, tmp_path: Path):
    service = build_service("tmf_gateway", settings)
    (tmp_path / "mended.json").write_bytes(account_changed("mended").to_message())
    bad = (AccountChanged.topic, b'{"id":"mended"}')
    of_one_revision = [(AccountChanged.topic, b"{%d" % number) for number in range(3)]
    await service.database["billing_accounts"].insert_many([left_behind("a1", *of_one_revision), left_behind("a2", bad)])
    # What an earlier release had parked, of which a later one can publish one.
    former = [
        {"_id": f"billing_accounts|{id}|7|0", "revision": 7, "topic": topic, "message": message, "collection": "billing_accounts"}
        | {"document_id": id, "reason": "too new", "parked_at": LONG_AGO}
        for id, topic, message in (("f1", AccountChanged.topic, account_changed("f1").to_message()), ("f2", "nowhere.v1", b"{}"))
    ]
    await service.database["outbox_parked"].insert_many(former)

    async def warned_of(count: int) -> bool:
        warnings = [sentence for sentence in (await service._warn()).values() if "--handler publish_outbox" in sentence]
        return sum(int(sentence.split()[0]) for sentence in warnings) == count

    async with service.running():
        await eventually(lambda: warned_of(6))
        assert await service.database["outbox_parked"].count_documents({}) == 0
        listed = (await run_tarifa(settings, "parked", "list", "--service", "tmf_gateway", "--json")).json
        ids = {(message["key"], message["body"]): message["id"] for message in listed}
        assert len(ids) == 6
        retried = (await run_tarifa(settings, "parked", "retry", "--all", "--json")).json
        assert retried["retried"] == [ids["billing_accounts/f1", account_changed("f1").to_message().decode()]]
        assert len(retried["failed"]) == 5
        assert any("nowhere.v1 in this release" in failed["reason"] for failed in retried["failed"])
        mended = ids["billing_accounts/a2", bad[1].decode()]
        mending = await run_tarifa(settings, "parked", "mend", mended, "--file", str(tmp_path / "mended.json"), "--yes", "--json")
        assert mending.json["mended"] == [mended]
        discarded = await run_tarifa(settings, "parked", "discard", "--all", "--reason", "nobody needs them", "--yes", "--json")
        assert len(discarded.json["discarded"]) == 4
        await eventually(lambda: warned_of(0))
        told = {fact.id for fact in await read_told(settings, AccountChanged)}
        kept = (await run_tarifa(settings, "parked", "list", "--all", "--json")).json

    assert told == {"mended", "f1"}
    assert sorted(message["state"] for message in kept) == ["discarded"] * 4 + ["handled"] * 2
    last = [message["history"][-1] for message in kept]
    assert all(event["by"] and event["at"] for event in last)
    assert [event["note"] for event in last if event["action"] == "discarded"] == ["nobody needs them"] * 4


@pytest.mark.parametrize(
    "extension",
    [
        pytest.param(["x" * 4_000] * 230, id="repeated under payload and event"),
        pytest.param([Decimal("1e-18")] * 90_000, id="numbers that are written out"),
        pytest.param([Decimal("1e-18")] * 110_000, id="too many values"),
        pytest.param("x" * 2**20, id="too large a body"),
    ],
)
async def test_what_is_accepted_is_announced_and_what_cannot_be_is_413(settings: RuntimeSettings, extension):
    body = json.dumps({"name": "big", "relatedParty": [PARTY], "own": extension}, default=str).replace('"1E-18"', "1e-18")
    service = build_service("tmf_gateway", settings)
    async with service.running(), _client(service) as client:
        answer = await client.post(ACCOUNTS, content=body, headers={"Content-Type": "application/json"})
        stored_count = await service.database["billing_accounts"].count_documents({})
        # A busy broker may take the event later than the client has its answer, and more than once.
        deadline = time.monotonic() + WAIT_S
        while len(heard := await read_told(settings, HubEventRaised)) < stored_count and time.monotonic() < deadline:
            await asyncio.sleep(0.2)

    assert (answer.status_code, stored_count, len(heard)) in ((413, 0, 0), (201, 1, 1)), answer.text[:300]


async def test_an_event_that_is_too_large_is_refused_before_anything_is_stored(settings: RuntimeSettings, monkeypatch):
    monkeypatch.setattr("services.tmf_gateway.announcing.ANNOUNCED_BYTES_MAX", 20_000)
    service = build_service("tmf_gateway", settings)
    async with service.running(), _client(service) as client:
        account = await client.open_account()
        refused = [
            await client.post(ACCOUNTS, json={"name": "big", "relatedParty": [PARTY], "own": ["x" * 4_000] * 3}),
            await client.patch(account["href"], json={"own": ["x" * 4_000] * 3}),
        ]
        shown = (await client.get(account["href"])).json()

    assert [answer.status_code for answer in refused] == [413, 413]
    assert "bytes" in refused[0].json()["message"]
    assert shown == account


async def test_a_gateway_remembers_no_more_than_it_must(settings: RuntimeSettings, monkeypatch):
    monkeypatch.setattr("services.tmf_gateway.outbox.REMEMBERED_MAX", 3)
    away = build_service("tmf_gateway", settings)
    # Not started: as if Kafka were away.
    async with _client(away) as client:
        accounts = [await client.open_account(name=f"Ada {number}") for number in range(5)]
        await client.patch(accounts[4]["href"], json={"name": "Ada King"})
        async with away.running():
            await client.patch(accounts[4]["href"], json={"name": "Ada Lovelace"})
            events = [event for event in await read_told(settings, HubEventRaised) if event.resource_id == accounts[4]["id"]]

    # Events may come again, never out of order.
    names = dict.fromkeys(event.envelope["event"]["billingAccount"]["name"] for event in events)
    assert list(names) == ["Ada 4", "Ada King", "Ada Lovelace"]


def _client(service) -> GatewayClient:
    return GatewayClient(transport=httpx.ASGITransport(app=service.http), base_url=GATEWAY, timeout=30)
