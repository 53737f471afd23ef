"""Indexes at the start of a service: what never gets better ends the start, with what to do about it."""

import asyncio

import pytest

from libs.runtime import RuntimeSettings
from libs.runtime.mongo import IndexImpossible
from tests.world import WAIT_S, build_service


async def failed_start(settings: RuntimeSettings, service: str = "ledger") -> str:
    with pytest.raises(IndexImpossible) as told:
        async with asyncio.timeout(WAIT_S), build_service(service, settings).running():
            pass
    return str(told.value)


@pytest.mark.parametrize(("name", "options"), [("bill_id_1", {"unique": True}), ("made_by_hand", {})])
async def test_an_index_that_is_there_otherwise_ends_the_start_and_is_named(settings: RuntimeSettings, name: str, options: dict) -> None:
    ledger = build_service("ledger", settings)
    await ledger.database["entries"].create_index("bill_id", name=name, **options)
    await ledger.client.close()

    told = await failed_start(settings)

    assert f"Drop what is in its way and start again: db.getSiblingDB('{settings.namespace}_ledger').entries.dropIndex('{name}')" in told


async def test_documents_that_break_a_unique_index_end_the_start_and_are_named(settings: RuntimeSettings) -> None:
    gateway = build_service("tmf_gateway", settings)
    await gateway.database["hub_subscriptions"].insert_many([{"subject": "crm"}, {"subject": "crm"}])
    await gateway.client.close()

    assert "hub_subscriptions cannot get its index" in (told := await failed_start(settings, "tmf_gateway"))
    assert 'subject: "crm"' in told
