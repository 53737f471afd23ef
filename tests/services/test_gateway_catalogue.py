"""A CRM keeps its catalogue over HTTP, launches an offering, and customers are charged by it."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from libs.contracts import HubEventRaised, TariffPublished, TariffRefused, UsageRated
from libs.exact_json import read_json, write_json
from services.tmf_gateway.domain.launching import new_offering
from services.tmf_gateway.domain.links import TMF620
from services.tmf_gateway.specifications import swagger
from services.tmf_gateway.store import PRODUCT_OFFERING_PRICES, PRODUCT_OFFERINGS, REFERRED, GatewayStore
from tests.gateway_client import GatewayDoor, assert_conforms, open_gateway
from tests.usages import usage_of
from tests.world import read_told

OFFERINGS = f"{TMF620}/productOffering"
PRICES = f"{TMF620}/productOfferingPrice"
SPECIFICATIONS = f"{TMF620}/productSpecification"
PER_MINUTE = {
    "name": "National calls",
    "priceType": "usage",
    "price": {"unit": "EUR", "value": 0.12},
    "unitOfMeasure": {"amount": 60, "units": "s"},
    "prodSpecCharValueUse": [
        {"name": "usageType", "productSpecCharacteristicValue": [{"value": "voice"}]},
        {"name": "called", "productSpecCharacteristicValue": [{"value": "+34"}]},
        {"name": "increments", "productSpecCharacteristicValue": [{"value": "60/1"}]},
    ],
}


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway, and the rating service that takes its rate books."""
    async with open_gateway(infrastructure, "rating") as opened:
        yield opened


async def created(door, path, **body):
    answer = await door.http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def launched(door, *prices, **attributes):
    """An offering that was launched, once rating has answered."""
    references = [{"id": price["id"]} for price in prices]
    body = {"name": "Mobile", "lifecycleStatus": "Active", "productOfferingPrice": references, **attributes}
    offering = await created(door, OFFERINGS, **body)
    answer = await door.http.patch(offering["href"], json={"lifecycleStatus": "Launched"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["statusReason"].endswith("is being published")
    await door.world.settle()
    return (await door.http.get(offering["href"])).json()


async def events(door, id):
    return [found.event_type for found in await read_told(door.settings, HubEventRaised) if found.resource_id == id]


async def test_a_customer_is_charged_by_an_offering_that_was_created_over_http(door):
    specification = await created(door, SPECIFICATIONS, name="Mobile line")
    price = await created(door, PRICES, **PER_MINUTE)
    offering = await launched(
        door, price, productSpecification={"id": specification["id"]}, validFor={"startDateTime": "2026-01-01T00:00:00Z"}
    )
    assert offering["lifecycleStatus"] == "Launched"
    assert offering["statusReason"] == f"in force as rate book catalog-{offering['id']}.2.EUR from 2026-01-01T00:00:00+00:00"

    account = await door.http.open_account(currency="EUR", timeZone="Europe/Madrid")
    product = await door.http.open_product(account["id"], "+34600200001", productOffering={"id": offering["id"]})
    assert product.status_code == 201, product.text
    await door.world.settle()
    call = usage_of(
        id="call",
        identifier="+34600200001",
        usage_type="voice",
        started_at=datetime(2026, 3, 2, 10, tzinfo=UTC),
        quantity=90,
        unit="s",
        called_number="+34911234567",
    )
    await door.world.publish(call)
    await door.world.settle()

    (rated,) = [found for found in await read_told(door.settings, UsageRated) if found.id == "call"]
    assert (rated.price_id, Fraction(rated.numerator, rated.denominator)) == (price["id"], Fraction(12, 100) * Fraction(90, 60))
    assert await events(door, offering["id"]) == [
        "ProductOfferingCreateEvent",
        "ProductOfferingStateChangeEvent",
        "ProductOfferingAttributeValueChangeEvent",
    ]


async def test_a_cheaper_price_is_in_force_from_its_launch_on_and_the_dearer_one_before(door):
    dear, cheap = await created(door, PRICES, **PER_MINUTE), await created(door, PRICES, **PER_MINUTE, description="cheaper")
    offering = await launched(door, dear, validFor={"startDateTime": "2026-01-01T00:00:00Z"})
    changed = await door.http.patch(offering["href"], json={"productOfferingPrice": [{"id": cheap["id"]}]})
    await door.world.settle()

    assert changed.status_code == 200
    books = {book["_id"]: book async for book in door.rating["tariffs"].find({"offering_ids": offering["id"]})}
    first, second = sorted(books.values(), key=lambda book: book["effective_from"])
    assert (first["effective_from"], second["effective_from"] > first["effective_from"]) == (datetime(2026, 1, 1, tzinfo=UTC), True)
    assert cheap["id"] in second["text"]


async def test_each_call_costs_what_the_price_of_its_day_asks(door):
    february, march = {"endDateTime": "2026-03-01T00:00:00Z"}, {"startDateTime": "2026-03-01T00:00:00Z"}
    dear = await created(door, PRICES, **PER_MINUTE, validFor=february)
    cheap = await created(door, PRICES, **{**PER_MINUTE, "price": {"unit": "EUR", "value": 0.06}}, validFor=march)
    planned = await created(door, PRICES, name="Fee", priceType="recurring", price={"unit": "EUR", "value": 1})
    offering = await launched(door, dear, cheap, validFor={"startDateTime": "2026-01-01T00:00:00Z"})
    assert offering["statusReason"].count("in force as rate book") == 2
    references = [{"id": price["id"]} for price in (dear, cheap, planned)]
    assert (await door.http.patch(offering["href"], json={"productOfferingPrice": references})).status_code == 200
    earlier = await door.http.patch(offering["href"], json={"validFor": {"startDateTime": "2025-01-01T00:00:00Z"}})
    assert (earlier.status_code, "cannot be earlier" in earlier.json()["message"]) == (409, True)
    account = await door.http.open_account(currency="EUR", timeZone="UTC")
    await door.http.open_product(account["id"], "+34600200002", productOffering={"id": offering["id"]})
    await door.world.settle()
    for id, month in (("february", 2), ("march", 3)):
        started_at = datetime(2026, month, 2, 10, tzinfo=UTC)
        called = {"identifier": "+34600200002", "usage_type": "voice", "called_number": "+34911234567", "quantity": 60, "unit": "s"}
        await door.world.publish(usage_of(id=id, started_at=started_at, **called))
    await door.world.settle()

    rated = {found.id: found for found in await read_told(door.settings, UsageRated) if found.id in ("february", "march")}
    assert {id: (one.price_id, Fraction(one.numerator, one.denominator)) for id, one in rated.items()} == {
        "february": (dear["id"], Fraction(12, 100)),
        "march": (cheap["id"], Fraction(6, 100)),
    }


async def test_a_price_that_is_given_an_end_changes_the_books_of_its_offerings(door):
    old = await created(door, PRICES, **PER_MINUTE)
    new = await created(door, PRICES, **PER_MINUTE, validFor={"startDateTime": "2099-01-01T00:00:00Z"})
    offerings = [await launched(door, old) for _ in range(2)]
    past = await door.http.patch(old["href"], json={"validFor": {"endDateTime": "2026-01-01T00:00:00Z"}})
    assert (past.status_code, "nor can it begin or end before" in past.json()["message"]) == (409, True)
    ended = await door.http.patch(old["href"], json={"validFor": {"endDateTime": "2099-01-01T00:00:00Z"}})
    assert ended.status_code == 200, ended.text
    await door.world.settle()
    for offering in offerings:
        assert (await door.http.get(offering["href"])).json()["statusReason"].startswith("without any price")
        references = [{"id": price["id"]} for price in (old, new)]
        assert (await door.http.patch(offering["href"], json={"productOfferingPrice": references})).status_code == 200
    await door.world.settle()

    for offering in offerings:
        books = await door.rating["tariffs"].find({"offering_ids": offering["id"]}).sort("effective_from", 1).to_list()
        priced = [[price["id"] for price in (old, new) if price["id"] in book["text"]] for book in books]
        assert priced == [[old["id"]], [new["id"]]]
        assert (await events(door, offering["id"]))[-4:] == ["ProductOfferingAttributeValueChangeEvent"] * 4
        assert (await door.http.get(offering["href"])).json()["statusReason"].endswith("from 2099-01-01T00:00:00+00:00")


async def test_prices_that_make_no_rate_book_are_refused_before_anything_is_published(door):
    price = await created(door, PRICES, **{**PER_MINUTE, "unitOfMeasure": {"amount": 1, "units": "parsec"}})
    offering = await created(door, OFFERINGS, name="Mobile", lifecycleStatus="Active", productOfferingPrice=[{"id": price["id"]}])
    refused = await door.http.patch(offering["href"], json={"lifecycleStatus": "Launched"})

    assert refused.status_code == 400
    assert "unknown unit 'parsec'" in refused.json()["message"]
    assert (await door.http.get(offering["href"])).json()["lifecycleStatus"] == "Active"


async def test_a_book_that_rating_refuses_is_told_with_the_offering(door):
    price = await created(door, PRICES, **PER_MINUTE)
    offering = await created(door, OFFERINGS, name="Mobile", lifecycleStatus="Active", productOfferingPrice=[{"id": price["id"]}])
    # Somebody else has published a book that prices this offering from the same moment on.
    text = (
        f"id: rival-{offering['id'][:8]}\neffective_from: 2099-01-01\ncurrency: EUR\nofferings:\n  {offering['id']}:\n"
        "    recurring_prices:\n      - {id: fee, description: Fee, amount: 1, period: month}\n"
    )
    await door.world.publish(TariffPublished.of(text.split()[1], text, datetime.now(UTC)))
    await door.world.settle()
    patch = {"lifecycleStatus": "Launched", "validFor": {"startDateTime": "2099-01-01T00:00:00Z"}}
    assert (await door.http.patch(offering["href"], json=patch)).json()["lifecycleStatus"] == "Launched"
    await door.world.settle()

    shown = (await door.http.get(offering["href"])).json()
    assert shown["lifecycleStatus"] == "Active"
    assert "at the same instant" in shown["statusReason"]
    assert len(await read_told(door.settings, TariffRefused)) == 1


async def test_the_catalogue_shows_what_the_rate_books_in_files_say(door):
    await door.world.settle()
    offering = (await door.http.get(f"{OFFERINGS}/churn-plan")).json()
    prices = (await door.http.get(PRICES, params={"name": '"Calls, night"', "sort": "id"})).json()

    assert (offering["lifecycleStatus"], offering["name"]) == ("Launched", "churn-plan")
    assert {reference["id"] for reference in offering["productOfferingPrice"]} >= {"churn:churn-plan:voice-night"}
    assert "churn:churn-plan:voice-night" in {price["id"] for price in prices}
    for method in ("patch", "delete"):
        body = {"json": {"name": "mine"}} if method == "patch" else {}
        refused = await door.http.request(method, offering["href"], **body)
        assert (refused.status_code, "publish another rate book" in refused.json()["message"]) == (409, True)


async def test_what_a_replaced_book_said_is_shown_no_longer(door):
    def book(*offerings):
        fee = "recurring_prices: [{id: fee, description: Fee, amount: 1, period: month}]"
        return "id: draft\neffective_from: 2099-01-01\ncurrency: EUR\nofferings:\n" + "".join(f"  {id}: {{{fee}}}\n" for id in offerings)

    statuses = []
    for offerings in (("kept", "dropped"), ("kept",)):
        await door.world.publish(TariffPublished.of("draft", book(*offerings), datetime.now(UTC)))
        await door.world.settle()
        paths = (f"{OFFERINGS}/kept", f"{OFFERINGS}/dropped", f"{PRICES}/draft:kept:fee", f"{PRICES}/draft:dropped:fee")
        statuses.append([(await door.http.get(path)).status_code for path in paths])

    assert statuses == [[200, 200, 200, 200], [200, 404, 200, 404]]


async def test_what_customers_have_stays_and_the_rest_can_be_deleted(door):
    price = await created(door, PRICES, **PER_MINUTE)
    offering = await launched(door, price)

    async def status(method, resource, **body):
        return (await door.http.request(method, resource["href"], **({"json": body} if body else {}))).status_code

    assert await status("DELETE", offering) == 409
    assert await status("DELETE", price) == 409
    assert await status("PATCH", price, price={"unit": "EUR", "value": 0.1}) == 409
    assert await status("PATCH", price, description="Calls within the country") == 200
    assert await status("PATCH", offering, lifecycleStatus="Obsolete") == 409
    assert await status("PATCH", offering, lifecycleStatus="Retired") == 200
    assert await status("PATCH", offering, lifecycleStatus="Obsolete") == 200
    assert await status("DELETE", offering) == 204
    assert await status("GET", offering) == await status("DELETE", offering) == await status("PATCH", offering, name="x") == 404
    assert await status("DELETE", price) == 204
    assert (await door.http.get(OFFERINGS, params={"id": offering["id"]})).json() == []
    await door.world.settle()
    # Its rate book is still there for late usage, and what shows rate books does not bring it back.
    text = "id: later\neffective_from: 2026-01-01\ncurrency: EUR\nofferings:\n  later:\n    recurring_prices:\n"
    text += "      - {id: fee, description: Fee, amount: 1, period: month}\n"
    await door.world.publish(TariffPublished.of("later", text, datetime.now(UTC)))
    await door.world.settle()
    assert (await status("GET", {"href": f"{OFFERINGS}/later"}), await status("GET", offering)) == (200, 404)
    assert (await events(door, offering["id"]))[-1] == "ProductOfferingDeleteEvent"
    assert await events(door, price["id"]) == [
        "ProductOfferingPriceCreateEvent",
        "ProductOfferingPriceAttributeValueChangeEvent",
        "ProductOfferingPriceDeleteEvent",
    ]


@pytest.mark.parametrize("path", [OFFERINGS, PRICES, SPECIFICATIONS])
async def test_each_resource_is_found_by_its_attributes(door, path):
    made = await created(door, path, name=f"findable {path[-5:]}", version="1.0", validFor={"startDateTime": "2026-01-01T00:00:00Z"})

    assert made["lastUpdate"]
    assert made["lifecycleStatus"] in ("In study", "Active")
    assert (await door.http.get(made["href"])).json() == made
    for query in (f'name="{made["name"]}"', f'lastUpdate="{made["lastUpdate"]}"&id={made["id"]}', f"href={made['href']}"):
        assert [found["id"] for found in (await door.http.get(f"{path}?{query}")).json()] == [made["id"]], query
    selected = (await door.http.get(path, params={"fields": "name", "id": made["id"]})).json()
    assert selected == [{"id": made["id"], "href": made["href"], "name": made["name"]}]
    page = await door.http.get(path, params={"limit": 1, "sort": "-name"})
    assert len(page.json()) == 1
    assert (await door.http.post(path, json={"description": "no name"})).status_code == 400
    assert (await door.http.patch(made["href"], json={"lifecycleStatus": "Sold out"})).status_code == 400
    assert (await door.http.get(f"{path}/404ID")).status_code == 404


async def test_references_lead_somewhere(door):
    for reference in ({"productOfferingPrice": [{"id": "gone"}]}, {"productSpecification": {"id": "gone"}}):
        refused = await door.http.post(OFFERINGS, json={"name": "Mobile", **reference})
        assert (refused.status_code, "gone does not exist" in refused.json()["message"]) == (400, True)


async def test_an_offering_comes_too_late_for_a_price_that_was_deleted_after_it_was_read(door):
    store = GatewayStore(door.service.client, door.service.database)
    price = await created(door, PRICES, **PER_MINUTE)
    read = await store.present(PRODUCT_OFFERING_PRICES, [price["id"]])
    offering = new_offering({"name": "Mobile", "productOfferingPrice": [{"id": price["id"]}]}, "late", read, datetime.now(UTC))
    assert (await door.http.delete(price["href"])).status_code == 204

    assert not await store.add_offering({**offering, REFERRED: {PRODUCT_OFFERING_PRICES: read}}, [])
    assert await store.find(PRODUCT_OFFERINGS, "late") is None


async def test_a_deletion_comes_too_late_for_a_price_that_an_offering_has_got_since(door):
    store = GatewayStore(door.service.client, door.service.database)
    price = await created(door, PRICES, **PER_MINUTE)
    read = await store.find(PRODUCT_OFFERING_PRICES, price["id"])
    await created(door, OFFERINGS, name="Mobile", productOfferingPrice=[{"id": price["id"]}])

    assert not await store.remove(PRODUCT_OFFERING_PRICES, {**read, "revision": read["revision"] + 1}, [])
    assert (await door.http.get(price["href"])).status_code == 200


@pytest.mark.parametrize(("path", "reference"), [(PRICES, "productOfferingPrice"), (SPECIFICATIONS, "productSpecification")])
async def test_nothing_is_deleted_while_an_offering_comes_to_refer_to_it(door, path, reference):
    statuses = set()
    for number in range(15):
        referred = await created(door, path, **{**PER_MINUTE, "name": f"raced {number}"} if path == PRICES else {"name": "raced"})
        named = {"id": referred["id"]}
        body = {"name": "Mobile", reference: [named] if path == PRICES else named}
        posted, deleted = await asyncio.gather(door.http.post(OFFERINGS, json=body), door.http.delete(referred["href"]))
        statuses.add((posted.status_code, deleted.status_code))

    assert statuses <= {(201, 409), (400, 204)}, statuses


async def test_a_price_does_not_change_while_an_offering_is_launched_with_it(door):
    for cents in range(1, 16):
        price = await created(door, PRICES, **PER_MINUTE)
        body = {"name": "Mobile", "lifecycleStatus": "Launched", "productOfferingPrice": [{"id": price["id"]}]}
        cheaper = {"price": {"unit": "EUR", "value": cents / 1000}}
        launch, patch = await asyncio.gather(door.http.post(OFFERINGS, json=body), door.http.patch(price["href"], json=cheaper))
        assert (launch.status_code, patch.status_code) in ((201, 200), (201, 409))
        stored = await door.service.database[PRODUCT_OFFERINGS].find_one({"_id": launch.json()["id"]})
        value = (await door.http.get(price["href"])).json()["price"]["value"]
        assert f"amount: '{value}'" in stored["publications"][-1]["text"]


async def test_offerings_that_share_a_price_are_made_side_by_side(door):
    price, specification = await created(door, PRICES, **PER_MINUTE), await created(door, SPECIFICATIONS, name="Mobile line")
    body = {"name": "Mobile", "productOfferingPrice": [{"id": price["id"]}], "productSpecification": {"id": specification["id"]}}
    answers = await asyncio.gather(*(door.http.post(OFFERINGS, json=body) for _ in range(20)))

    assert {answer.status_code for answer in answers} == {201}


async def test_every_event_is_as_the_specification_draws_it(door):
    raised = [event for event in await read_told(door.settings, HubEventRaised) if event.api == "TMF620"]

    drawn = [event for event in raised if event.event_type in swagger("TMF620")["definitions"]]
    assert {event.event_type.removeprefix("ProductOffering") for event in drawn} >= {"CreateEvent", "StateChangeEvent", "DeleteEvent"}
    for event in drawn:
        assert_conforms(read_json(write_json(event.envelope)), "TMF620", event.event_type)
