"""What every door of the gateway has in common: methods, media types, error bodies, CORS, documentation."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from libs.runtime import RuntimeSettings
from services.tmf_gateway.domain.bill_preview import PREVIEW_PATH
from services.tmf_gateway.domain.links import TMF620, TMF637, TMF666, TMF678
from tests.gateway_client import GatewayClient, GatewayDoor, a_bill, assert_conforms, open_gateway
from tests.world import GATEWAY, build_service

BILLS = f"{TMF678}/customerBill"
ON_DEMAND = f"{TMF678}/customerBillOnDemand"
ACCOUNTS = f"{TMF666}/billingAccount"
PRODUCTS = f"{TMF637}/product"


@pytest.fixture(scope="module")
async def door(infrastructure) -> AsyncIterator[GatewayDoor]:
    """A gateway with one bill."""
    async with open_gateway(infrastructure) as opened:
        await opened.seed_bills(a_bill(1))
        yield opened


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", BILLS, "GET, HEAD, OPTIONS"),
        ("DELETE", f"{BILLS}/x", "GET, HEAD, OPTIONS, PATCH"),
        ("PUT", ON_DEMAND, "GET, HEAD, OPTIONS, POST"),
        ("PATCH", f"{ON_DEMAND}/x", "GET, HEAD, OPTIONS"),
        ("DELETE", f"{TMF678}/appliedCustomerBillingRate/x", "GET, HEAD, OPTIONS"),
        ("PATCH", f"{TMF678}/hub", "GET, HEAD, OPTIONS, POST"),
        ("PUT", f"{TMF678}/hub/x", "DELETE, GET, HEAD, OPTIONS"),
        ("PUT", f"{ACCOUNTS}/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("PUT", f"{PRODUCTS}/x", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("TRACE", ACCOUNTS, "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_a_method_that_a_path_does_not_know_is_405_and_told_which_it_knows(door, method, path, allowed):
    answer = await door.http.request(method, path)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/tmf-api", "/tmf-api/customerBillManagement/v5/customerBill", f"{BILLS}/", f"{BILLS}/a/b", "/nowhere"])
async def test_a_path_that_does_not_exist_is_404_in_tmf_words(door, path):
    answer = await door.http.get(path)

    assert answer.status_code == 404
    assert_conforms(answer.json(), "TMF678", "Error")


@pytest.mark.parametrize(
    ("method", "path", "content_type"),
    [
        ("POST", ON_DEMAND, None),
        ("POST", ON_DEMAND, "text/plain"),
        ("POST", ON_DEMAND, "application/merge-patch+json"),
        ("POST", ACCOUNTS, "application/x-www-form-urlencoded"),
        ("POST", PRODUCTS, "application/xml"),
        ("POST", f"{TMF678}/hub", "text/plain"),
        ("POST", ACCOUNTS, "application/json-patch+json"),
        ("PATCH", f"{BILLS}/x", "application/json-patch-query+json"),
        ("PATCH", f"{BILLS}/x", None),
    ],
)
async def test_a_body_of_another_media_type_is_415(door, method, path, content_type):
    headers = {"Content-Type": content_type} if content_type else {}

    assert (await door.http.request(method, path, content=b"{}", headers=headers)).status_code == 415


@pytest.mark.parametrize("path", [ON_DEMAND, ACCOUNTS, PRODUCTS, f"{TMF666}/hub"])
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"name": NaN}', b'{"name": "\\u0000"}', b"\xff", b"[" * 99_999])
async def test_a_body_that_is_no_json_object_is_400(door, path, body):
    assert (await door.http.post(path, content=body, headers={"Content-Type": "application/json"})).status_code == 400


@pytest.mark.parametrize("path", [ON_DEMAND, ACCOUNTS, PRODUCTS, f"{TMF666}/hub"])
async def test_a_body_that_is_too_large_is_413(door, path):
    body = b'{"a": "' + b"x" * 2**20 + b'"}'

    assert (await door.http.post(path, content=body, headers={"Content-Type": "application/json"})).status_code == 413


async def test_head_answers_as_get_without_the_body(door):
    head, get = await door.http.head(BILLS), await door.http.get(BILLS)

    assert head.status_code == 200
    assert {name: head.headers[name] for name in ("content-length", "x-total-count")} == {
        name: get.headers[name] for name in ("content-length", "x-total-count")
    }
    assert (await door.http.head(f"{BILLS}/404ID")).status_code == 404


async def test_options_tells_the_methods(door):
    answer = await door.http.options(ON_DEMAND)

    assert answer.status_code == 204
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


async def test_a_browser_of_another_origin_may_read_nothing_unless_the_settings_name_it(door):
    origin = {"Origin": "https://selfcare.example.com"}
    asked = await door.http.options(BILLS, headers={**origin, "Access-Control-Request-Method": "PATCH"})
    answer = await door.http.get(BILLS, headers=origin)

    assert (asked.status_code, answer.status_code) == (204, 200)
    assert not [name for name in (*asked.headers, *answer.headers) if name.startswith("access-control")]


async def test_a_browser_of_an_origin_that_the_settings_name_may_read_the_counts(door):
    origin = {"Origin": "https://selfcare.example.com"}
    service = build_service("tmf_gateway", door.settings, cors_origins=[origin["Origin"]])
    async with GatewayClient(transport=httpx.ASGITransport(app=service.http), base_url=GATEWAY) as client:
        asked = await client.options(BILLS, headers={**origin, "Access-Control-Request-Method": "PATCH"})
        answer = await client.get(BILLS, headers=origin)
        other = await client.get(BILLS, headers={"Origin": "https://elsewhere.example.com"})
    await service.client.close()

    assert "access-control-allow-origin" not in other.headers
    assert asked.status_code == 200
    assert "PATCH" in asked.headers["access-control-allow-methods"]
    exposed = answer.headers["access-control-expose-headers"]
    assert {"X-Total-Count", "X-Result-Count", "Content-Range", "Link", "Location"} <= set(exposed.split(", "))


@pytest.mark.parametrize("host", ["attacker.example.com", "127.0.0.1.attacker.example.com", "user@127.0.0.1", "127.0.0.1/x", ""])
async def test_a_host_that_is_not_the_gateways_is_400(door, host):
    answer = await door.http.get(BILLS, headers={"Host": host})

    assert answer.status_code == 400
    assert "GATEWAY_ALLOWED_HOSTS" in answer.json()["message"]
    assert (await door.http.get("/health/live", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*", "application/json;q=0, */*", "*/*;q=0"])
async def test_a_client_that_takes_no_json_is_406(door, accept):
    bill, hub = f"{BILLS}/{a_bill(1).id}", f"{TMF678}/hub"
    for method, path in (("GET", BILLS), ("GET", bill), ("POST", ACCOUNTS), ("PATCH", f"{PRODUCTS}/x"), ("GET", hub)):
        assert (await door.http.request(method, path, headers={"Accept": accept})).status_code == 406


async def test_the_documentation_names_the_real_parameters_and_needs_no_internet(door):
    page = (await door.http.get("/docs")).text
    document = (await door.http.get("/openapi.json")).json()

    assert "://" not in page.replace("http://www.w3.org", "")
    for file in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/docs/static/{file}" in page
        assert (await door.http.get(f"/docs/static/{file}")).status_code == 200
    parameters = {parameter["name"] for parameter in document["paths"][BILLS]["get"]["parameters"]}
    assert {"fields", "offset", "limit", "sort", "state", "billDate", "billingAccount.id", "amountDue.value"} <= parameters
    assert document["paths"][f"{BILLS}/{{id}}"]["patch"]["responses"]["409"]
    references = set(_references(document))
    assert references
    assert all(reference.removeprefix("#/components/schemas/") in document["components"]["schemas"] for reference in references)


async def test_every_body_that_the_documentation_shows_is_accepted(door):
    document = (await door.http.get("/openapi.json")).json()
    account = await door.http.open_account()
    product = (await door.http.open_product(account["id"], "+34600000002")).json()
    ids = {"/customerBill/{id}": a_bill(1).id, "/billingAccount/{id}": account["id"], "/product/{id}": product["id"]}
    catalogue = {name: f"{TMF620}/{name}" for name in ("productOffering", "productOfferingPrice", "productSpecification")}
    for name, path in catalogue.items():
        shown = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        ids[f"/{name}/{{id}}"] = (await door.http.post(path, json=shown)).json()["id"]

    sent = 0
    for path, operations in document["paths"].items():
        for method in operations.keys() & {"post", "patch"}:
            content = operations[method]["requestBody"]["content"]
            body = json.dumps(content["application/json"]["example"]).replace("the id of a billingAccount", account["id"])
            url = path.replace("{id}", next((id for end, id in ids.items() if path.endswith(end)), "{id}"))
            answer = await door.http.request(method, url, content=body, headers={"Content-Type": "application/json"})
            # Nobody is there to change a bill's state or to preview one: that it was asked for is enough.
            is_unanswered = "/customerBill/" in path or path == PREVIEW_PATH
            assert answer.status_code in ((503,) if is_unanswered else (200, 201)), f"{method} {path}: {answer.text}"
            sent += 1
    assert sent == 17


async def test_every_filter_that_the_documentation_names_works(door):
    document = (await door.http.get("/openapi.json")).json()
    values = {"date-time": "2026-01-01", "number": "1", "boolean": "true"}
    for path, operations in document["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", []):
            if parameter["in"] == "query" and parameter["description"].startswith("Filter"):
                answers = [(await door.http.get(path, params={parameter["name"]: value})).status_code for value in (*values.values(), "x")]
                assert 200 in answers, f"{path}?{parameter['name']}"


def _references(node):
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        for member in node.values():
            yield from _references(member)
    elif isinstance(node, list):
        for item in node:
            yield from _references(item)


async def test_a_database_that_is_away_is_503_in_tmf_words():
    nowhere = RuntimeSettings(kafka_bootstrap_servers="127.0.0.1:1", mongodb_url="mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100")
    service = build_service("tmf_gateway", nowhere)
    async with GatewayClient(transport=httpx.ASGITransport(app=service.http), base_url=GATEWAY, timeout=30) as client:
        answer = await client.get(BILLS)
    await service.client.close()

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
