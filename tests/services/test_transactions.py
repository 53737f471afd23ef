"""A transaction that conflicts is tried again, but not for ever."""

import asyncio

import pytest

from libs.runtime import RuntimeSettings, in_transaction, mongo
from libs.runtime.failures import is_infrastructure
from libs.runtime.mongo import TRANSACTION_TRIES_MAX, TransactionGivenUp, connect, database


async def test_a_transaction_that_conflicts_every_time_gives_up_with_the_conflict_and_parks_nothing(
    settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MongoDB would end the transaction of the holder before the usual time is over.
    monkeypatch.setattr(mongo, "TRANSACTION_TIME_MAX_S", 3.0)
    client = connect(settings)
    store = database(client, settings, "ledger")
    tries = 0

    async def work(session) -> None:
        nonlocal tries
        tries += 1
        await store["balances"].update_one({"_id": "ada"}, {"$inc": {"n": 1}}, session=session)

    try:
        await store["balances"].insert_one({"_id": "ada", "n": 0})
        async with client.start_session() as holder, await holder.start_transaction():
            await store["balances"].update_one({"_id": "ada"}, {"$inc": {"n": 100}}, session=holder)
            with pytest.raises(TransactionGivenUp) as given_up:
                async with asyncio.timeout(60):
                    await in_transaction(client, work)
        assert 1 < tries <= TRANSACTION_TRIES_MAX
        assert is_infrastructure(given_up.value)
        await in_transaction(client, work)
        assert (await store["balances"].find_one({"_id": "ada"}))["n"] == 101
    finally:
        await client.drop_database(store.name)
        await client.close()
