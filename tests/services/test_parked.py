"""What the runtime does with messages that fail, on real Kafka and MongoDB: park, go on, wait in order, and handle again on request."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from libs.contracts import (
    Fact,
    MessageParked,
    OnDemandBillCompleted,
    OnDemandBillRequested,
    OnDemandState,
    ParkedEvent,
    ParkedMendRequested,
    ParkedResolved,
    ParkedState,
)
from libs.runtime import Batch, RuntimeSettings, Service, Unprocessable
from libs.runtime.lag import lag_reader
from libs.runtime.parking.draining import ParkedRecord
from libs.runtime.parking.isolation import Item, Settled
from libs.runtime.parking.lot import ParkingLot
from tests.command_line import run_tarifa
from tests.world import WAIT_S, read_facts

POLL_S = 0.05
AT = datetime(2026, 4, 1, tzinfo=UTC)


def request(number: int) -> OnDemandBillRequested:
    """A fact to handle; the account is the same, so all of them keep one order."""
    return OnDemandBillRequested(id=f"request-{number}", account_id="ada", requested_at=AT)


def completion(asked: OnDemandBillRequested) -> OnDemandBillCompleted:
    return OnDemandBillCompleted(id=asked.id, account_id=asked.account_id, state=OnDemandState.DONE, completed_at=AT)


class Judge:
    """Says of each request whether it can be answered; a test changes its mind by replacing `objections`."""

    def __init__(self) -> None:
        self.objections: dict[str, Exception] = {}
        self.asked: list[list[str]] = []

    def answer(self, requests: Batch[OnDemandBillRequested]) -> list[Fact]:
        self.asked.append([asked.id for asked in requests])
        for asked in requests:
            if asked.id in self.objections:
                raise self.objections[asked.id]
        return [completion(asked) for asked in requests]


async def answer_requests(requests: Batch[OnDemandBillRequested], *, judge: Judge) -> Sequence[Fact]:
    return judge.answer(requests)


@pytest.fixture
def judge() -> Judge:
    return Judge()


@pytest.fixture
def new_service(settings: RuntimeSettings, judge: Judge) -> Callable[[], Service]:
    """Makes the service; making it again is starting it again."""

    def make() -> Service:
        service = Service("ledger", settings)
        service.subscribe(partial(answer_requests, judge=judge))
        return service

    return make


@asynccontextmanager
async def running(service: Service):
    async with service.running(), lag_reader(service.settings) as lag:
        yield lag


async def send(settings: RuntimeSettings, *bodies: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> None:
    """Publish bytes in order, on one partition, before anybody reads the next batch."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, linger_ms=50)
    async with producer:
        sent = [await producer.send(settings.topic(OnDemandBillRequested.topic), body, key=b"ada", headers=headers) for body in bodies]
        await asyncio.gather(*sent)


async def answered(settings: RuntimeSettings) -> list[str]:
    return [fact.id for fact in await read_facts(settings, OnDemandBillCompleted)]


async def parked(service: Service) -> list[dict[str, Any]]:
    return await service.database["parked"].find().sort("offset", 1).to_list()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Poll until it holds. Raises TimeoutError when that takes too long."""
    async with asyncio.timeout(WAIT_S):
        while not await holds():
            await asyncio.sleep(POLL_S)


async def readiness(service: Service) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=service.http), base_url="http://service") as client:
        return await client.get("/health/ready")


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        (b"not json", "Invalid JSON"),
        (b"", "Invalid JSON"),
        (b"5", "object"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b'{"id": "x", "account_id": "ada"}', "requested_at: Field required"),
        (b'{"id": "a\\u0000b", "account_id": "ada", "requested_at": "2026-04-01T00:00:00Z"}', "id: String should match"),
        (b'{"id": "x", "account_id": "ada", "requested_at": NaN}', "Invalid JSON|requested_at"),
    ],
)
async def test_a_poison_message_is_parked_with_its_reason_and_the_rest_goes_on(
    settings: RuntimeSettings, new_service: Callable[[], Service], poison: bytes, reason: str
) -> None:
    service = new_service()
    async with running(service) as lag:
        await send(settings, request(1).to_message(), poison, request(2).to_message())
        await lag.settled(WAIT_S)
        (message,) = await parked(service)
    assert await answered(settings) == ["request-1", "request-2"]
    assert any(words in message["reason"] for words in reason.split("|")), message["reason"]
    (told,) = await read_facts(settings, MessageParked)
    assert (told.id, told.service, told.handler, told.offset) == (message["_id"], "ledger", "answer_requests", 1)


async def test_headers_that_are_not_text_do_not_hold_up_their_batch(settings: RuntimeSettings, new_service: Callable[[], Service]) -> None:
    async with running(new_service()) as lag:
        await send(settings, request(1).to_message(), headers=[("trace", b"\xff\xfe")])
        await lag.settled(WAIT_S)
    assert await answered(settings) == ["request-1"]


async def test_an_unprocessable_fact_is_parked_alone_and_its_neighbours_are_answered(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge
) -> None:
    judge.objections["request-2"] = Unprocessable("no such account")
    service = new_service()
    async with running(service) as lag:
        await send(settings, *(request(number).to_message() for number in range(1, 5)))
        await lag.settled(WAIT_S)
        (message,) = await parked(service)
    assert await answered(settings) == ["request-1", "request-3", "request-4"]
    assert message["reason"] == "no such account"


async def test_what_the_infrastructure_causes_brings_the_batch_back_until_it_passes_and_nothing_is_lost(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge
) -> None:
    judge.objections["request-2"] = ConnectionError("the database is away")
    service = new_service()
    async with running(service) as lag:
        await send(settings, *(request(number).to_message() for number in range(1, 4)))
        await until(lambda: _true(len(judge.asked) >= 3))
        assert not {"request-2", "request-3"} & set(await answered(settings)), "nothing overtakes what failed"
        judge.objections.clear()
        await lag.settled(WAIT_S)
        assert await parked(service) == []
    assert await answered(settings) == ["request-1", "request-2", "request-3"]


async def test_a_service_stopped_while_it_backs_off_handles_the_batch_when_it_is_back(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge
) -> None:
    judge.objections["request-1"] = ConnectionError("the database is away")
    async with running(new_service()):
        await send(settings, request(1).to_message())
        await until(lambda: _true(len(judge.asked) >= 1))
    judge.objections.clear()
    async with running(new_service()) as lag:
        await lag.settled(WAIT_S)
    assert await answered(settings) == ["request-1"]


async def test_parked_messages_are_listed_shown_and_tried_again(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge
) -> None:
    judge.objections["request-1"] = Unprocessable("no such account")
    async with running(new_service()) as lag:
        await send(settings, request(1).to_message())
        await lag.settled(WAIT_S)
        (message,) = (await run_tarifa(settings, "parked", "list", "--json")).json
        assert (message["service"], message["reason"], message["retried_at"]) == ("ledger", "no such account", None)
        shown = await run_tarifa(settings, "parked", "show", message["id"], "--json")
        assert json.loads(shown.json["body"])["id"] == "request-1"
        assert (await run_tarifa(settings, "parked", "list", "--service", "rating", "--json")).json == []

        judge.objections.clear()
        retried = await run_tarifa(settings, "parked", "retry", message["id"], "--json")
        assert retried.json == {"retried": [message["id"]], "followed_count": 0, "failed": []}
        await lag.settled(WAIT_S)
        assert await answered(settings) == ["request-1"]
        assert (await run_tarifa(settings, "parked", "list", "--json")).json == []
        (remembered,) = (await run_tarifa(settings, "parked", "list", "--all", "--json")).json
        assert (remembered["state"], [event["action"] for event in remembered["history"]]) == ("handled", ["parked", "handled"])


async def test_a_message_that_still_fails_stays_parked_with_its_new_reason(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge
) -> None:
    judge.objections = {"request-1": Unprocessable("no such account")}
    async with running(new_service()) as lag:
        await send(settings, b"not json", request(1).to_message())
        await lag.settled(WAIT_S)
        judge.objections = {"request-1": KeyError("bill-2")}
        retried = await run_tarifa(settings, "parked", "retry", "--all", "--service", "ledger", "--json")
        assert retried.exit_code == 1
        assert (retried.json["retried"], len(retried.json["failed"])) == ([], 2)
        waiting = {message["offset"]: message for message in (await run_tarifa(settings, "parked", "list", "--json")).json}
    assert waiting[1]["reason"] == "KeyError: 'bill-2'"
    assert "Invalid JSON" in waiting[0]["reason"]
    assert [event["action"] for event in waiting[1]["history"]] == ["parked", "failed again"]
    assert all(event["by"] for event in waiting[1]["history"][1:]), "who asked is kept"


async def test_trying_again_what_is_not_parked_is_refused_in_one_line(settings: RuntimeSettings) -> None:
    refused = await run_tarifa(settings, "parked", "retry", "ledger:answer_requests:nothing:0:0")
    assert refused.exit_code == 1
    assert refused.err.splitlines() == [
        "tarifa: nothing is parked under ledger:answer_requests:nothing:0:0 — see `tarifa parked list --all`"
    ]


@pytest.mark.parametrize(
    ("received_bytes", "mended", "reason"),
    [(100, "no base64!", "is not base64"), (10 * 1024 * 1024, base64.b64encode(b" " * 4 * 1024 * 1024).decode(), "15728640 are the most")],
)
async def test_a_message_that_cannot_be_mended_so_stays_as_it_is(
    settings: RuntimeSettings, new_service: Callable[[], Service], judge: Judge, received_bytes: int, mended: str, reason: str
) -> None:
    service = new_service()
    body = request(1).to_message().ljust(received_bytes)
    place = ParkedRecord(settings.topic(OnDemandBillRequested.topic), 0, 7, b"ada", body)
    async with running(service) as lag:
        await ParkingLot(service.name, service.database, service.publisher).keep(
            "answer_requests", Settled(failed=[(Item(place, None), "for the test")]), AT
        )
        before = await parked(service)
        about = {"service": "ledger", "parked_id": before[0]["_id"], "requested_at": AT}
        await service.publish([ParkedMendRequested(id="mend-1", body=mended, reason="for the test", **about)])
        await lag.settled(WAIT_S)
        (answer,) = await read_facts(settings, ParkedResolved)
        assert await parked(service) == before
    assert (answer.state, reason in answer.detail) == (ParkedState.PARKED, True), answer.detail
    assert judge.asked == []


async def _not_ready(service: Service) -> bool:
    return (await readiness(service)).status_code == 503


async def _true(condition: bool) -> bool:
    return condition


async def test_a_message_that_is_parked_again_is_told_as_it_was_the_first_time(
    settings: RuntimeSettings, new_service: Callable[[], Service]
) -> None:
    service = new_service()
    async with running(service):
        lot = ParkingLot(service.name, service.database, service.publisher)
        record = ParkedRecord("t", 0, 7, b"ada", b"not json")
        await lot.keep("answer_requests", Settled(failed=[(Item(record, None), "no JSON")]), AT)
        await lot.keep("answer_requests", Settled(failed=[(Item(record, None), "still no JSON")]), AT + timedelta(seconds=5))
    first, again = await read_facts(settings, MessageParked)
    assert (first.reason, first.parked_at) == ("no JSON", AT)
    assert again == first


async def test_where_a_topic_began_anew_its_offsets_are_other_messages(
    settings: RuntimeSettings, new_service: Callable[[], Service]
) -> None:
    service = new_service()
    async with running(service):
        lot = ParkingLot(service.name, service.database, service.publisher)
        for body in (b"before", b"after", b"after"):
            record = ParkedRecord("t", 0, 7, b"ada", body)
            await lot.keep("answer_requests", Settled(failed=[(Item(record, None), "no JSON")]), AT)
        kept = [base64.b64decode(message["body"]) for message in await parked(service)]
    assert sorted(kept) == [b"after", b"before"]


@pytest.mark.parametrize(("state", "left"), [(ParkedState.PARKED, ParkedState.DISCARDED), (ParkedState.HANDLED, ParkedState.HANDLED)])
async def test_what_was_discarded_while_it_was_tried_is_not_opened_again_by_its_failure(
    settings: RuntimeSettings, new_service: Callable[[], Service], state: ParkedState, left: ParkedState
) -> None:
    service = new_service()
    async with running(service):
        lot = ParkingLot(service.name, service.database, service.publisher)
        await lot.keep("answer_requests", Settled(failed=[(Item(ParkedRecord("t", 0, 7, b"ada", b"{"), None), "no JSON")]), AT)
        (message,) = await read_facts(settings, MessageParked)
        for settled in (ParkedState.DISCARDED, state):
            await lot.settle([(message, {"state": settled.value}, ParkedEvent(at=AT, action=settled.value))])
        assert [kept["state"] for kept in await parked(service)] == [left.value]
