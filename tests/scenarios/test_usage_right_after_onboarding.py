"""Usage published right after the 201 of POST product is rated with nobody's help."""

import asyncio

from tests.world import TMF637, World

LINES = 60


async def test_usages_right_behind_the_answers_are_all_rated(world: World) -> None:
    customer = await world.customer("A family of sixty")
    known = len(await world.services["rating"].database["suspense"].find({"state": "open"}).to_list())

    async def open_and_call(line: int) -> str:
        msisdn = f"+1212777{line:04}"
        await world.post(
            f"{TMF637}/product",
            {
                "name": "line",
                "status": "active",
                "startDate": "2025-01-01T00:00:00Z",
                "billingAccount": {"id": customer.account_id},
                "productOffering": {"id": "churn-plan"},
                "productCharacteristic": [{"name": "msisdn", "value": msisdn}],
            },
        )
        usage = customer.usage(at="2026-03-02 10:00", seconds=60, identifier=msisdn)
        await world.publish(usage)
        return usage.id

    for first in (0, LINES // 2):
        usage_ids = await asyncio.gather(*(open_and_call(line) for line in range(first, first + LINES // 2)))
        await world.settle()
        stored = await world.services["rating"].database["usage"].find({"_id": {"$in": usage_ids}}).to_list()
        assert [usage.get("reason") for usage in stored if "charge_id" not in usage] == []
    assert await world.services["rating"].database["suspense"].count_documents({"state": "open"}) == known
