"""What a client says in the catalogue comes back as it was said, or is refused in words: nothing is dropped in silence."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import bson
import pytest

from libs.exact_json import read_json, write_json
from libs.runtime.mongo import CODEC_OPTIONS
from services.tmf_gateway.domain.launching import new_offering
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.mongo_filter import mongo_filter
from services.tmf_gateway.domain.query import parse_query
from services.tmf_gateway.domain.refusal import BadRequest
from services.tmf_gateway.domain.tmf620 import (
    PRODUCT_OFFERING,
    PRODUCT_OFFERING_PRICE,
    PRODUCT_SPECIFICATION,
    new_resource,
    patched_resource,
)
from services.tmf_gateway.specifications import swagger
from tests.gateway_client import assert_conforms

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
LINKS = Links("https://api.example.com")
RESOURCES = {resource.definition: resource for resource in (PRODUCT_OFFERING, PRODUCT_OFFERING_PRICE, PRODUCT_SPECIFICATION)}
DEFINITIONS = swagger("TMF620")["definitions"]
SAID = {"lifecycleStatus": "In design", "validFor": {"startDateTime": "2027-01-01T00:00:00Z", "endDateTime": "2028-01-01T00:00:00Z"}}
SERVER_OWNED = ("id", "href", "lastUpdate")
# No definition of TM Forum's reaches deeper without repeating itself.
DEPTH_MAX = 4


def sample(schema, name, depth=DEPTH_MAX):
    """A value for a schema, with every attribute that its definition has."""
    if "$ref" in schema:
        definition = DEFINITIONS[schema["$ref"].removeprefix("#/definitions/")]
        if not definition.get("properties"):
            return {"anything": [1, Decimal("0.10"), "é"]}
        if depth == 0:
            return {key: sample(definition["properties"][key], key, 0) for key in definition.get("required", ())}
        return {key: sample(member, key, depth - 1) for key, member in definition["properties"].items()}
    if schema["type"] == "array":
        return [sample(schema["items"], name, depth)]
    if schema.get("format") == "date-time":
        return "2027-01-01T00:00:00Z"
    if schema.get("format") == "uri":
        return f"https://example.com/{name}"
    return {"string": f"some {name}", "number": Decimal("1.50"), "integer": 3, "boolean": True}[schema["type"]]


def whole(definition):
    """A body with every attribute of a resource, and one that no specification knows."""
    said = {name: sample(schema, name) for name, schema in DEFINITIONS[definition]["properties"].items()}
    return {**said, **SAID, "myOwn": {"depth": [{"a": Decimal("2.50")}]}}


def opened(definition, body):
    if definition == "ProductOffering":
        return new_offering(body, "r1", {reference["id"]: {} for reference in body.get("productOfferingPrice", ())}, NOW)
    return new_resource(definition, body, "r1", NOW, state="Active")


def answered(definition, stored):
    """As a client reads it, once MongoDB has kept it."""
    kept = bson.decode(bson.encode(stored, codec_options=CODEC_OPTIONS), codec_options=CODEC_OPTIONS)
    answer = read_json(write_json(RESOURCES[definition].render(kept, LINKS)))
    assert_conforms(answer, "TMF620", definition)
    return answer


@pytest.mark.parametrize("definition", RESOURCES)
def test_every_attribute_comes_back_as_it_was_sent(definition):
    sent = read_json(write_json(whole(definition)))

    answer = answered(definition, opened(definition, sent))

    owned = {name: answer.pop(name) for name in SERVER_OWNED}
    assert answer == {name: value for name, value in sent.items() if name not in SERVER_OWNED}
    assert owned["href"].endswith("/r1")


@pytest.mark.parametrize("definition", RESOURCES)
def test_every_attribute_can_be_patched_in_and_out_again(definition):
    stored = opened(definition, {"name": "before", "lifecycleStatus": "In design"})
    before = answered(definition, stored)
    for name, value in read_json(write_json(whole(definition))).items():
        if name in (*SERVER_OWNED, "name", "lifecycleStatus", "productOfferingPrice"):
            continue
        after = patched_resource(definition, stored, {name: value}, NOW + timedelta(days=1))
        assert answered(definition, after)[name] == value
        without = answered(definition, patched_resource(definition, after, {name: None}, NOW + timedelta(days=2)))
        assert {**without, "lastUpdate": before["lastUpdate"]} == before, name


def test_a_patch_with_what_the_server_owns_changes_nothing_of_it():
    stored = opened("ProductOffering", {"name": "before"})
    shown = answered("ProductOffering", stored)

    assert patched_resource("ProductOffering", stored, shown, NOW) == stored
    with pytest.raises(BadRequest, match="id of a resource cannot be changed"):
        patched_resource("ProductOffering", stored, {"id": "r2"}, NOW)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("@type=ProductOffering", {"$in": ["ProductOffering", None]}),
        ("@type=Gadget", {"$in": ["Gadget"]}),
        ("@type.ne=ProductOffering", {"$nin": ["ProductOffering", None]}),
        ("@type=Gadget,ProductOffering", {"$in": ["Gadget", "ProductOffering", None]}),
    ],
)
def test_a_filter_knows_the_kinds_that_clients_named(query, wanted):
    assert mongo_filter(parse_query(query), PRODUCT_OFFERING, LINKS) == {"resource.@type": wanted}
