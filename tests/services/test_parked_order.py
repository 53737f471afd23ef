"""Order around parked messages: later ones of a key wait behind, go with it, and nobody else is delayed."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from libs.contracts import BillStateRequested, MessageSkipRequested, OnDemandBillRequested
from libs.runtime import RuntimeSettings, Unprocessable
from tests.command_line import run_tarifa
from tests.services.parking_desk import (
    WAIT_S,
    Judge,
    demand,
    new_service,
    readiness,
    running,
    send,
    state_request,
    states,
    until,
)


@pytest.fixture(autouse=True)
def plain_tracebacks() -> Iterator[None]:
    """As services log them: those that show the values of every variable take seconds."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def judge() -> Judge:
    return Judge()


async def test_later_messages_of_a_key_wait_and_go_with_the_parked_one_and_other_keys_go_on(
    settings: RuntimeSettings, judge: Judge
) -> None:
    judge.objections["ada-00001"] = KeyError("bill-2")
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request(key, number) for number in range(4) for key in ("ada", "bob")])
        await lag.settled(WAIT_S)
        assert (judge.of("ada"), judge.of("bob")) == (["ada-00000"], [f"bob-0000{number}" for number in range(4)])
        # What comes later, also in another batch, waits as well.
        await send(settings, BillStateRequested, [state_request("ada", 4), state_request("bob", 4)])
        await lag.settled(WAIT_S)
        assert (judge.of("ada"), judge.of("bob")[-1]) == (["ada-00000"], "bob-00004")
        assert await states(service) == {"parked": 1, "waiting": 3}

        judge.objections.clear()
        retried = await run_tarifa(settings, "parked", "retry", "--all", "--json")
        assert (len(retried.json["retried"]), retried.json["followed_count"]) == (1, 3)
        assert judge.of("ada") == [f"ada-0000{number}" for number in range(5)]
        assert await states(service) == {"handled": 4}
        await send(settings, BillStateRequested, [state_request("ada", 5)])
        await lag.settled(WAIT_S)
        assert judge.of("ada")[-1] == "ada-00005"


async def test_where_order_does_not_matter_nobody_waits(settings: RuntimeSettings, judge: Judge) -> None:
    judge.objections["ada-00001"] = OverflowError("MongoDB can only handle up to 8-byte ints")
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, OnDemandBillRequested, [demand("ada", number) for number in range(4)])
        await lag.settled(WAIT_S)
        assert judge.of("ada") == ["ada-00000", "ada-00002", "ada-00003"]
        assert await states(service) == {"parked": 1}


async def test_an_unreadable_message_is_mended_in_its_place_and_the_received_body_is_kept(settings: RuntimeSettings, judge: Judge) -> None:
    service = new_service(settings, judge)
    key, good = state_request("ada", 1)
    bad = good.replace(b'"onHold"', b'"inLimbo"')
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request("ada", 0), (key, bad), state_request("ada", 2)])
        await lag.settled(WAIT_S)
        (message,) = (await run_tarifa(settings, "parked", "list", "--json")).json
        still_bad = await run_tarifa(settings, "parked", "mend", message["id"], "--set", "state=limbo", "--yes")
        assert (still_bad.exit_code, "is still no" in still_bad.err) == (1, True)
        mended = await run_tarifa(settings, "parked", "mend", message["id"], "--set", "state=onHold", "--reason", "a typing error", "--yes")
        assert mended.exit_code == 0, mended.err
        assert '-  "state": "inLimbo"' in mended.err
        assert '+  "state": "onHold"' in mended.err
        assert judge.of("ada") == ["ada-00000", "ada-00001", "ada-00002"]
        shown = (await run_tarifa(settings, "parked", "show", message["id"], "--json")).json
    assert (shown["state"], shown["body"]) == ("handled", bad.decode())
    assert json.loads(shown["mended_body"])["state"] == "onHold"
    mending = shown["history"][1]
    assert (mending["action"], mending["note"]) == ("mended", "a typing error")
    assert mending["by"]


async def test_what_waits_behind_a_discarded_message_is_handled(settings: RuntimeSettings, judge: Judge) -> None:
    judge.objections["ada-00000"] = Unprocessable("never")
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request("ada", number) for number in range(3)])
        await lag.settled(WAIT_S)
        (message,) = (await run_tarifa(settings, "parked", "list", "--json")).json
        discarded = await run_tarifa(settings, "parked", "discard", message["id"], "--reason", "sent by a test", "--yes", "--json")
        assert (discarded.json["discarded"], discarded.json["followed_count"]) == ([message["id"]], 2)
        shown = (await run_tarifa(settings, "parked", "show", message["id"], "--json")).json
    assert judge.of("ada") == ["ada-00001", "ada-00002"]
    assert [(event["action"], event["note"]) for event in shown["history"]] == [("parked", "never"), ("discarded", "sent by a test")]


async def test_a_follower_that_fails_is_the_next_head_and_the_rest_waits_behind_it(settings: RuntimeSettings, judge: Judge) -> None:
    judge.objections = {"ada-00000": ValueError("bad"), "ada-00002": ValueError("bad as well")}
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request("ada", number) for number in range(4)])
        await lag.settled(WAIT_S)
        del judge.objections["ada-00000"]
        retried = await run_tarifa(settings, "parked", "retry", "--all", "--json")
        assert (retried.exit_code, retried.json["followed_count"]) == (0, 1)
        assert judge.of("ada") == ["ada-00000", "ada-00001"]
        (head,) = (await run_tarifa(settings, "parked", "list", "--json")).json
        assert (head["offset"], head["reason"]) == (2, "ValueError: bad as well")
        assert await states(service) == {"handled": 2, "parked": 1, "waiting": 1}


async def test_a_topic_that_a_bad_release_cannot_read_is_mended_afterwards_in_order(settings: RuntimeSettings) -> None:
    keys = [f"account{number}" for number in range(20)]
    bad_release, good_release = Judge(), Judge()
    bad_release.rejects_all = TypeError("'NoneType' object is not subscriptable")
    service = new_service(settings, bad_release)
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request(key, number) for number in range(15) for key in keys])
        await lag.settled(WAIT_S)
        assert await states(service) == {"parked": 20, "waiting": 280}
        assert (await readiness(service)).status_code == 200
    service = new_service(settings, good_release)
    async with running(service) as lag:
        # What is published while they are retried must not overtake them.
        retrying = asyncio.create_task(run_tarifa(settings, "parked", "retry", "--all", "--json"))
        for number in range(15, 25):
            await send(settings, BillStateRequested, [state_request(key, number) for key in keys])
        assert len((await retrying).json["retried"]) == 20
        await lag.settled(WAIT_S)
        await until(lambda: _all_handled(good_release, keys))
    for key in keys:
        assert good_release.of(key) == [f"{key}-{number:05}" for number in range(25)]


async def _all_handled(judge: Judge, keys: list[str]) -> bool:
    return all(len(judge.of(key)) == 25 for key in keys)


async def test_a_message_that_its_handler_hangs_on_is_named_and_can_be_skipped(settings: RuntimeSettings, judge: Judge) -> None:
    judge.objections["ada-00007"] = ConnectionError("the server closes the connection at this message")
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, OnDemandBillRequested, [demand("ada", number) for number in range(20)])
        topic = settings.topic(OnDemandBillRequested.topic)

        async def is_named() -> bool:
            told = (await readiness(service)).json().get("warnings", {}).get("hear_requests", "")
            return "offset 7 since" in told and "tarifa skip" in told

        await until(is_named)
        (behind,) = [one for one in (await run_tarifa(settings, "lag", "--json")).json if one["lag"]]
        assert (behind["topic"], behind["lag"], behind["next_offset"]) == (topic, 20, 0)
        assert "closes the connection" in behind["error"]
        assert behind["oldest_unread_at"]
        place = [behind["group"], topic, str(behind["partition"])]
        ahead = await run_tarifa(settings, "skip", *place, "20", "--reason", "no", "--yes")
        assert (ahead.exit_code, "there is no offset 20 yet" in ahead.err) == (1, True)
        skipped = await run_tarifa(settings, "skip", *place, "7", "--reason", "the server is patched tomorrow", "--yes")
        assert skipped.exit_code == 0, skipped.err
        await lag.settled(WAIT_S)
        assert judge.of("ada") == [f"ada-{number:05}" for number in range(20) if number != 7]
        (message,) = (await run_tarifa(settings, "parked", "list", "--json")).json
        assert "the server is patched tomorrow" in message["reason"]
        past = await run_tarifa(settings, "skip", *place, "7", "--reason", "no", "--yes")
        assert (past.exit_code, "is past offset 7 already" in past.err) == (1, True)
        judge.objections.clear()
        assert (await run_tarifa(settings, "parked", "retry", "--all", "--json")).json["retried"] == [message["id"]]


async def test_a_skip_of_a_message_that_never_comes_is_forgotten_after_a_week(settings: RuntimeSettings, judge: Judge) -> None:
    service = new_service(settings, judge)
    async with running(service) as lag:
        place = {"service": service.name, "handler": "hear_requests", "topic_name": "t", "partition": 0, "offset": 7}
        asked = MessageSkipRequested(id="skip-1", reason="no", requested_at=datetime(2026, 4, 1, tzinfo=UTC), **place)
        await service.publish([asked])
        await lag.settled(WAIT_S)
        (index,) = [index for index in (await service.database["skips"].index_information()).values() if "expireAfterSeconds" in index]
        assert index["expireAfterSeconds"] == 7 * 86_400
        # MongoDB forgets by this field, and may have done so already.
        ((field, _),) = index["key"]
        assert [skip[field] async for skip in service.database["skips"].find()] in ([asked.requested_at], [])


async def test_what_waits_though_nothing_is_parked_is_found_after_a_crash(settings: RuntimeSettings, judge: Judge) -> None:
    judge.objections["ada-00000"] = ValueError("bad")
    service = new_service(settings, judge)
    async with running(service) as lag:
        await send(settings, BillStateRequested, [state_request("ada", number) for number in range(3)])
        await lag.settled(WAIT_S)
        # As a crash leaves it between discarding a message and handling what waits behind it.
        await service.database["parked"].update_one({"state": "parked"}, {"$set": {"state": "discarded"}})
    service = new_service(settings, judge)
    async with running(service):
        await until(lambda: _is_handled(judge, ["ada-00001", "ada-00002"]))


async def _is_handled(judge: Judge, ids: list[str]) -> bool:
    return judge.of("ada") == ids
