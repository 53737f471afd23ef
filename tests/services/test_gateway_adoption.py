"""What a restored gateway takes over of what clients did since the backup, read from the topics on real Kafka and MongoDB."""

import uuid
from collections.abc import AsyncIterator

import pytest

from libs.runtime.adoption import Adopted
from libs.runtime.published import PublishedReader
from services.tmf_gateway.adoption import ResourceAdoption
from services.tmf_gateway.domain.links import TMF620, TMF666
from services.tmf_gateway.store import ACCOUNTS, IDENTIFIER_HOLDINGS, PRODUCT_SPECIFICATIONS, PRODUCTS
from tests.gateway_client import GatewayDoor, open_gateway

PARTY = {"id": "p1", "name": "Ada", "@referredType": "Individual"}
LATER = "2099-01-01T00:00:00Z"
COPIED = (ACCOUNTS, PRODUCTS, IDENTIFIER_HOLDINGS, PRODUCT_SPECIFICATIONS)


@pytest.fixture
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway alone."""
    async with open_gateway(infrastructure) as opened:
        yield opened


async def copy_of(door: GatewayDoor) -> dict[str, list[dict]]:
    return {name: await door.service.database[name].find().to_list() for name in COPIED}


async def restore(door: GatewayDoor, copied: dict[str, list[dict]]) -> Adopted:
    """Put back what was copied, and adopt all that was published."""
    for name, documents in copied.items():
        await door.service.database[name].delete_many({})
        if documents:
            await door.service.database[name].insert_many(documents)
    adopted = Adopted()
    await ResourceAdoption(door.service.database).adopt(PublishedReader(door.settings, {}), adopted)
    return adopted


async def test_what_was_deleted_since_the_backup_stays_deleted_and_its_number_is_free(door):
    account = await door.http.open_account()
    other = await door.http.open_account()
    specification = (await door.http.post(f"{TMF620}/productSpecification", json={"name": "fibre"})).json()
    product = (await door.http.open_product(account["id"], "+34600500001", startDate=LATER)).json()
    copied = await copy_of(door)
    opened_since = (await door.http.open_product(account["id"], "+34600500002", startDate=LATER)).json()
    deleted = [await door.http.delete(one["href"]) for one in (product, opened_since, other, specification)]

    adopted = await restore(door, copied)

    gone = [await door.http.get(one["href"]) for one in (product, opened_since, other, specification)]
    assert [answer.status_code for answer in (*deleted, *gone)] == [204] * 4 + [404] * 4
    assert adopted.lost == []
    anew = [await door.http.open_product(account["id"], number, startDate=LATER) for number in ("+34600500001", "+34600500002")]
    assert [answer.status_code for answer in anew] == [201, 201]


async def test_a_post_is_known_by_its_key_after_a_restore(door):
    body, key = {"name": "Ada", "relatedParty": [PARTY]}, {"Idempotency-Key": uuid.uuid4().hex}
    first = await door.http.post(f"{TMF666}/billingAccount", json=body, headers=key)
    await door.service.database["idempotent_answers"].delete_many({})

    await restore(door, {ACCOUNTS: []})

    again = await door.http.post(f"{TMF666}/billingAccount", json=body, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
