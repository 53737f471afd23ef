"""A service killed while it parks, and while it handles what waited: each message has one outcome, in order."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from aiokafka import AIOKafkaProducer

from libs.contracts import BillStateRefused, BillStateRequested
from libs.devstack import free_port, service_process
from libs.runtime import RuntimeSettings
from libs.runtime.lag import lag_reader
from libs.runtime.mongo import connect, database
from tests.command_line import run_tarifa
from tests.world import read_facts

KEYS = [f"account{number}" for number in range(10)]
OF_EACH_KEY = 100
WAIT_S = 120.0
# Kill once so many are there.
KILL_AT = (1, 600)


def request(key: str, number: int) -> BillStateRequested:
    return BillStateRequested(id=f"{key}-{number:04}", bill_id="none", account_id=key, state="onHold", requested_at=datetime.now(UTC))


async def test_killed_while_it_parks_and_while_it_handles_what_waited(settings: RuntimeSettings, tmp_path: Path) -> None:
    invoicing = service_process("invoicing", settings, port=free_port(), log=tmp_path / "invoicing.log")
    client = connect(settings)
    parked = database(client, settings, "invoicing")["parked"]

    async def kill_once(query: dict, count: int) -> None:
        async with asyncio.timeout(WAIT_S):
            while await parked.count_documents(query) < count:
                await asyncio.sleep(0.002)
        await invoicing.kill()

    try:
        async with lag_reader(settings) as lag:
            await invoicing.start()
            await _publish(settings)
            for count in KILL_AT:
                await kill_once({}, count)
                await invoicing.start()
            await lag.settled(WAIT_S)
            assert await parked.count_documents({"state": "parked"}) == len(KEYS)
            assert await parked.count_documents({"state": "waiting"}) == len(KEYS) * OF_EACH_KEY
            discarding = asyncio.create_task(
                run_tarifa(settings, "parked", "discard", "--all", "--service", "invoicing", "--reason", "no JSON", "--yes", "--json")
            )
            await kill_once({"state": "handled"}, 1)
            await invoicing.start()
            await discarding
            await lag.settled(WAIT_S)
            async with asyncio.timeout(WAIT_S):
                while await parked.count_documents({"state": "waiting"}):
                    await asyncio.sleep(0.1)
            assert await parked.count_documents({"state": "handled"}) == len(KEYS) * OF_EACH_KEY
    finally:
        await invoicing.stop()
        await client.close()
    refused = await read_facts(settings, BillStateRefused)
    for key in KEYS:
        order = [refusal.request_id for refusal in refused if refusal.account_id == key]
        assert list(dict.fromkeys(order)) == [f"{key}-{number:04}" for number in range(OF_EACH_KEY)]


async def _publish(settings: RuntimeSettings) -> None:
    topic = settings.topic(BillStateRequested.topic)
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap_servers, linger_ms=20) as producer:
        sent = [await producer.send(topic, b"{broken", key=key.encode()) for key in KEYS]
        sent += [
            await producer.send(topic, request(key, number).to_message(), key=key.encode()) for number in range(OF_EACH_KEY) for key in KEYS
        ]
        await asyncio.gather(*sent)
