"""What every door that writes has in common: ETag, If-Match, Idempotency-Key, merge and JSON patches, DELETE, type names."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from libs.contracts import AccountChanged, AccountState, BillState, HubEventRaised, ProductChanged, ProductStatus
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666, TMF678
from tests.gateway_client import GatewayDoor, a_bill, a_charge, open_gateway
from tests.world import read_told

ACCOUNTS = f"{TMF666}/billingAccount"
PRODUCTS = f"{TMF637}/product"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
PARTY = {"id": "p1", "name": "Ada", "@referredType": "Individual"}
# A body for each resource that can be posted and patched, and what to change of it.
CATALOGUE = {f"{TMF620}/{name}": {"name": name} for name in ("productOffering", "productOfferingPrice", "productSpecification")}

CATALOGUE_COLLECTIONS = ("product_offerings", "product_offering_prices", "product_specifications")


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway alone, with one bill."""
    async with open_gateway(infrastructure) as opened:
        await opened.seed_bills(a_bill(1))
        yield opened


async def a_body(door: GatewayDoor, path: str) -> dict:
    if path == ACCOUNTS:
        return {"name": "Ada", "relatedParty": [PARTY], "creditLimit": {"unit": "EUR", "value": 12.5}}
    if path == PRODUCTS:
        account = await door.http.open_account()
        return {"status": "created", "billingAccount": {"id": account["id"]}, "productOffering": {"id": "churn-plan"}}
    if path == f"{TMF678}/customerBillOnDemand":
        return {"name": "now", "billingAccount": {"id": (await door.http.open_account())["id"]}}
    if path.endswith("/hub"):
        return {"callback": f"https://crm.example.com/{uuid.uuid4().hex}"}
    return CATALOGUE[path]


WRITABLE = [ACCOUNTS, PRODUCTS, *CATALOGUE]
POSTED = [*WRITABLE, f"{TMF678}/customerBillOnDemand", f"{TMF678}/hub"]


@pytest.mark.parametrize("path", WRITABLE)
async def test_what_get_shows_can_be_sent_back_and_changes_nothing(door, path):
    made = await door.http.post(path, json=await a_body(door, path))
    href = made.headers["Location"]
    shown = await door.http.get(href)
    merged = await door.http.patch(href, content=shown.content, headers={"Content-Type": "application/json"})
    whole = b'[{"op":"replace","path":"","value":' + shown.content + b"}]"
    operated = await door.http.patch(href, content=whole, headers=JSON_PATCH)

    assert [answer.status_code for answer in (made, shown, merged, operated)] == [201, 200, 200, 200]
    assert made.content == shown.content == merged.content == operated.content
    assert made.headers["ETag"] == shown.headers["ETag"] == merged.headers["ETag"] == operated.headers["ETag"]


@pytest.mark.parametrize("path", WRITABLE)
async def test_what_the_server_sets_is_refused_if_it_is_another_value(door, path):
    shown = (await door.http.post(path, json=await a_body(door, path))).json()
    for name in {"id", "href", "lastUpdate", "lastModified"} & shown.keys():
        for value in ("another", None, 7, {}):
            answer = await door.http.patch(shown["href"], json={name: value})
            assert answer.status_code == 400
            assert name in answer.json()["message"]


async def test_a_bill_can_be_sent_back_and_only_its_state_be_changed(door):
    href = f"{TMF678}/customerBill/{a_bill(1).id}"
    shown = await door.http.get(href)
    same = await door.http.patch(href, content=shown.content, headers={"Content-Type": "application/merge-patch+json"})
    for name, value in shown.json().items():
        refused = await door.http.patch(href, json={name: [value, "another"]})
        assert refused.status_code == 400
        assert name in refused.json()["message"]

    assert (same.status_code, same.content) == (200, shown.content)
    stale = await door.http.patch(href, json={"state": BillState.ON_HOLD}, headers={"If-Match": '"another"'})
    assert stale.status_code == 412


@pytest.mark.parametrize("path", WRITABLE)
async def test_if_match_keeps_what_somebody_else_wrote(door, path):
    made = await door.http.post(path, json=await a_body(door, path))
    href, read = made.headers["Location"], {"If-Match": made.headers["ETag"]}
    first = await door.http.patch(href, json={"own": 1}, headers=read)
    second = await door.http.patch(href, json={"own": 2}, headers=read)
    deleted = await door.http.delete(href, headers=read)
    again = await door.http.patch(href, json={"own": 3}, headers={"If-Match": f'"x", {first.headers["ETag"]}'})
    any_state = await door.http.patch(href, json={"own": 4}, headers={"If-Match": "*"})

    assert [answer.status_code for answer in (first, second, deleted, again, any_state)] == [200, 412, 412, 200, 200]
    assert (await door.http.get(href)).json()["own"] == 4


async def test_what_the_client_has_is_not_sent_again(door):
    account = await door.http.open_account()
    shown = await door.http.get(account["href"])
    tag = {"If-None-Match": shown.headers["ETag"]}
    known = await door.http.get(account["href"], headers=tag)
    await door.http.patch(account["href"], json={"name": "Ada King"})
    changed = await door.http.get(account["href"], headers=tag)

    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", shown.headers["ETag"])
    assert (changed.status_code, changed.json()["name"]) == (200, "Ada King")


@pytest.mark.parametrize("path", POSTED)
async def test_a_post_that_is_sent_again_under_its_key_gets_the_first_answer(door, path):
    body, key = await a_body(door, path), {"Idempotency-Key": uuid.uuid4().hex}
    answers = await asyncio.gather(*(door.http.post(path, json=body, headers=key) for _ in range(5)))
    if path in WRITABLE:
        await door.http.patch(answers[0].headers["Location"], json={"own": "changed"})
    later = await door.http.post(path, json=dict(reversed(body.items())), headers=key)
    other_body = await door.http.post(path, json={**body, "own": 1, "query": "fields=eventId"}, headers=key)

    assert {answer.status_code for answer in (*answers, later)} == {201}
    assert {(answer.content, answer.headers["Location"]) for answer in (*answers, later)} == {(later.content, later.headers["Location"])}
    assert other_body.status_code == 409
    assert "Idempotency-Key" in other_body.json()["message"]


@pytest.mark.parametrize("path", POSTED)
async def test_what_a_crash_left_without_an_answer_is_found_again(door, path):
    body, key = await a_body(door, path), {"Idempotency-Key": uuid.uuid4().hex}
    first = await door.http.post(path, json=body, headers=key)
    # As a crash leaves it: the resource is stored, the answer is not.
    await door.service.database["idempotent_answers"].delete_many({})
    again = await door.http.post(path, json=body, headers=key)
    await door.service.database["idempotent_answers"].delete_many({})
    other_body = await door.http.post(path, json={**body, "own": 1, "query": "fields=eventId"}, headers=key)

    assert (again.status_code, again.content) == (201, first.content)
    assert other_body.status_code == 409


@pytest.mark.parametrize("path", [*WRITABLE, f"{TMF678}/hub"])
async def test_a_key_never_gives_the_id_of_what_was_deleted_again(door, path):
    body, key = await a_body(door, path), {"Idempotency-Key": uuid.uuid4().hex}
    href = (await door.http.post(path, json=body, headers=key)).headers["Location"]
    deleted = await door.http.delete(href)
    # At once, while its end may still be to be published, and for ever after.
    await door.service.database["idempotent_answers"].delete_many({})
    at_once = await door.http.post(path, json=body, headers=key)

    async def is_forgotten() -> bool:
        id = href.rpartition("/")[2]
        collections = ("removed_resources", "billing_accounts", "products", "hub_subscriptions", *CATALOGUE_COLLECTIONS)
        return not any([await door.service.database[name].count_documents({"_id": id}) for name in collections])

    await eventually(is_forgotten)
    later = await door.http.post(path, json=body, headers=key)
    with_new_key = await door.http.post(path, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})

    assert [answer.status_code for answer in (deleted, at_once, later, with_new_key)] == [204, 409, 409, 201]
    assert "was deleted since: send a new key" in later.json()["message"]
    assert (await door.http.get(href)).status_code == 404


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await holds():
            await asyncio.sleep(0.05)


async def test_a_number_is_not_in_the_way_of_the_product_that_holds_it(door):
    account = await door.http.open_account()
    body = {
        "status": "active",
        "billingAccount": {"id": account["id"]},
        "productOffering": {"id": "churn-plan"},
        "productCharacteristic": [{"name": "msisdn", "value": "+34600300001"}],
    }
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = await asyncio.gather(*(door.http.post(PRODUCTS, json=body, headers=key) for _ in range(5)))
    without_key = await door.http.post(PRODUCTS, json=body)

    assert {(answer.status_code, answer.json().get("id")) for answer in answers} == {(201, answers[0].json()["id"])}
    assert without_key.status_code == 409


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "\x7f"])
async def test_a_key_that_is_none_is_400(door, key):
    answer = await door.http.post(ACCOUNTS, json={"name": "Ada", "relatedParty": [PARTY]}, headers={"Idempotency-Key": key})

    assert answer.status_code == 400


async def test_a_refusal_is_not_kept_under_the_key(door):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    refused = await door.http.post(ACCOUNTS, json={"name": "Ada"}, headers=key)
    mended = await door.http.post(ACCOUNTS, json={"name": "Ada", "relatedParty": [PARTY]}, headers=key)

    assert (refused.status_code, mended.status_code) == (400, 201)


async def test_a_json_patch_changes_what_it_names(door):
    account = await door.http.open_account(own=[1, 2, 3])
    operations = [
        {"op": "test", "path": "/name", "value": "Ada"},
        {"op": "replace", "path": "/relatedParty/0/name", "value": "Ada King"},
        {"op": "remove", "path": "/own/1"},
        {"op": "add", "path": "/description", "value": "VIP"},
    ]
    changed = await door.http.patch(account["href"], json=operations, headers=JSON_PATCH)
    failed = await door.http.patch(
        account["href"], json=[{"op": "remove", "path": "/own"}, {"op": "test", "path": "/name", "value": "Bob"}], headers=JSON_PATCH
    )
    server_owned = await door.http.patch(account["href"], json=[{"op": "remove", "path": "/id"}], headers=JSON_PATCH)
    no_list = await door.http.patch(account["href"], json={"op": "remove", "path": "/own"}, headers=JSON_PATCH)

    shown = changed.json()
    assert (shown["relatedParty"][0]["name"], shown["own"], shown["description"]) == ("Ada King", [1, 3], "VIP")
    assert [answer.status_code for answer in (failed, server_owned, no_list)] == [409, 400, 400]
    assert (await door.http.get(account["href"])).json() == shown


@pytest.mark.parametrize("path", POSTED[:-1])
async def test_type_names_are_kept_and_validated(door, path):
    body = await a_body(door, path)
    names = {"@type": "Special", "@baseType": "Base", "@schemaLocation": "https://example.com/special.json"}
    made = await door.http.post(path, json={**body, **names})
    shown = (await door.http.get(made.headers["Location"])).json()
    found = (await door.http.get(path, params={"@type": "Special"})).json()

    assert {name: shown[name] for name in names} == names
    assert shown in found
    for wrong in ({"@schemaLocation": "no uri"}, {"@type": "Error"}, {"@type": " "}, {"@type": 7}, {"@baseType": []}):
        answer = await door.http.post(path, json={**body, **wrong})
        assert answer.status_code == 400, wrong
        assert next(iter(wrong)) in answer.json()["message"]


async def test_a_product_that_never_began_can_be_deleted_and_its_number_is_free(door):
    account = await door.http.open_account()
    planned = (await door.http.open_product(account["id"], "+34600400001", startDate="2099-01-01T00:00:00Z")).json()
    deleted = await door.http.delete(planned["href"])
    gone = await door.http.get(planned["href"])
    anew = await door.http.open_product(account["id"], "+34600400001", startDate="2099-01-01T00:00:00Z")

    assert [answer.status_code for answer in (deleted, gone, anew)] == [204, 404, 201]
    told = [fact for fact in await read_told(door.settings, ProductChanged) if fact.id == planned["id"]]
    assert [(fact.revision, fact.status) for fact in told] == [(1, ProductStatus.ACTIVE), (2, ProductStatus.CANCELLED)]
    raised = await read_told(door.settings, HubEventRaised)
    events = [event.event_type for event in raised if event.resource_id == planned["id"]]
    assert events == ["ProductCreateEvent", "ProductDeleteEvent"]


async def test_a_product_that_has_begun_or_was_charged_stays(door):
    account = await door.http.open_account()
    begun = (await door.http.open_product(account["id"], "+34600400002")).json()
    charged = (await door.http.open_product(account["id"], "+34600400003", status="created")).json()
    await door.seed_charges(a_charge(77, account_id=account["id"], product_id=charged["id"]))

    for product in (begun, charged):
        assert (await door.http.delete(product["href"])).status_code == 409
        assert (await door.http.get(product["href"])).status_code == 200


async def test_an_account_without_anything_can_be_deleted_and_one_in_use_cannot(door):
    unused, used = await door.http.open_account(), await door.http.open_account()
    product = (await door.http.open_product(used["id"], "+34600400004", startDate="2099-01-01T00:00:00Z")).json()
    in_use = await door.http.delete(used["href"])
    deleted = await door.http.delete(unused["href"])
    late = await door.http.open_product(unused["id"], "+34600400005")
    await door.http.delete(product["href"])
    emptied = await door.http.delete(used["href"])

    assert [answer.status_code for answer in (in_use, deleted, late, emptied)] == [409, 204, 400, 409]
    assert (await door.http.get(unused["href"])).status_code == 404
    told = [fact for fact in await read_told(door.settings, AccountChanged) if fact.id == unused["id"]]
    assert [(fact.revision, fact.state) for fact in told] == [(1, AccountState.ACTIVE), (2, AccountState.CLOSED)]


async def test_an_account_is_not_deleted_while_it_gets_a_product(door):
    for attempt in range(5):
        account = await door.http.open_account()
        deleted, opened = await asyncio.gather(
            door.http.delete(account["href"]), door.http.open_product(account["id"], f"+3460050000{attempt}")
        )
        assert (deleted.status_code, opened.status_code) in ((204, 400), (409, 201))
