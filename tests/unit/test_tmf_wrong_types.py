"""Every attribute of every definition, at every level, given as everything that it is not: POST, merge patch and JSON patch.

The cases are generated from TM Forum's own files. Whatever is sent, the answer is a resource or a refusal; where the type is
wrong the refusal names the attribute.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any

import bson
import pytest

from libs.exact_json import read_json, write_json
from libs.runtime.mongo import CODEC_OPTIONS
from services.tmf_gateway.domain.json_patch import apply_json_patch
from services.tmf_gateway.domain.launching import new_offering, patched_offering, price_ids
from services.tmf_gateway.domain.links import Links
from services.tmf_gateway.domain.merge_patch import merge
from services.tmf_gateway.domain.patching import as_merge_patch, as_read, wanted_changes
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, Refusal
from services.tmf_gateway.domain.resource import Resource
from services.tmf_gateway.domain.tmf620 import (
    PRODUCT_OFFERING,
    PRODUCT_OFFERING_PRICE,
    PRODUCT_SPECIFICATION,
    new_resource,
    patched_resource,
)
from services.tmf_gateway.domain.tmf637 import PRODUCT, account_of, new_product, patched_product
from services.tmf_gateway.domain.tmf666 import BILLING_ACCOUNT, AccountDefaults, new_account, patched_account
from services.tmf_gateway.domain.tmf678 import BILL_ON_DEMAND, new_on_demand_request
from services.tmf_gateway.specifications import swagger

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = datetime(2026, 3, 2, tzinfo=UTC)
LINKS = Links("https://api.example.com")
PARTY = {"id": "p1", "name": "Ada", "@referredType": "Individual"}
ACCOUNT = {"_id": "a1", "resource": {"state": "active", "name": "Ada", "relatedParty": [PARTY]}}
PRICE = {"_id": "p1", "resource": {"name": "Calls", "lifecycleStatus": "Active", "price": {"unit": "EUR", "value": Decimal(1)}}}
DEFAULTS = AccountDefaults("EUR", "UTC", "standard")
# No definition of TM Forum's reaches deeper without repeating itself.
DEPTH_MAX = 4
DEEP: Any = "deep"
for _ in range(31):
    DEEP = {"a": DEEP}
VALUES: Mapping[str, Any] = {
    "null": None,
    "true": True,
    "number": 7,
    "decimal": Decimal("1.5"),
    "text": "some text",
    "empty text": "",
    "list": [1, "a", {"b": True}, None],
    "empty list": [],
    "object": {"a": 1, "id": 7, "name": []},
    "empty object": {},
    "deep": DEEP,
}
# Of what a value is in JSON, by the words of a schema.
FITS = {"string": (str,), "number": (int, Decimal), "integer": (int,), "boolean": (bool,), "array": (list,), "object": (dict,)}
BODIES: Mapping[str, dict[str, Any]] = {
    "BillingAccount": {"name": "Ada", "relatedParty": [PARTY]},
    "Product": {
        "status": "active",
        "startDate": "2026-01-01T00:00:00Z",
        "billingAccount": {"id": "a1"},
        "productOffering": {"id": "churn-plan"},
        "productCharacteristic": [{"name": "msisdn", "value": "+34600000001"}],
    },
    "ProductOffering": {"name": "Mobile"},
    "ProductOfferingPrice": {"name": "Calls", "priceType": "usage"},
    "ProductSpecification": {"name": "Line"},
    "CustomerBillOnDemand": {"name": "Now", "billingAccount": {"id": "a1"}},
}
RESOURCES: Mapping[str, Resource] = {
    "BillingAccount": BILLING_ACCOUNT,
    "Product": PRODUCT,
    "ProductOffering": PRODUCT_OFFERING,
    "ProductOfferingPrice": PRODUCT_OFFERING_PRICE,
    "ProductSpecification": PRODUCT_SPECIFICATION,
    "CustomerBillOnDemand": BILL_ON_DEMAND,
}
PATCHABLE = [definition for definition in RESOURCES if definition != "CustomerBillOnDemand"]


def opened(definition: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """What a POST stores, without a database."""
    RESOURCES[definition].schema.check_types(definition, body)
    match definition:
        case "BillingAccount":
            return new_account(body, "r1", DEFAULTS, NOW)
        case "Product":
            account_of(body)
            return new_product(body, "r1", ACCOUNT, NOW)
        case "ProductOffering":
            return new_offering(body, "r1", dict.fromkeys(price_ids(body), PRICE), NOW)
        case "CustomerBillOnDemand":
            return new_on_demand_request(RESOURCES[definition].schema.conform(f"{definition}_Create", body), "r1", ACCOUNT, NOW)
    return new_resource(definition, body, "r1", NOW, state="Active")


def patched(definition: str, stored: dict[str, Any], change: Any) -> dict[str, Any]:
    """What a PATCH stores, without a database."""
    resource = RESOURCES[definition]
    shown = as_read(write_json(resource.render(stored, LINKS)))
    changes = wanted_changes(shown, change, resource.read_only)
    resource.schema.check_types(definition, changes)
    patch = as_merge_patch(stored["resource"], shown, changes)
    if not patch:
        return stored
    match definition:
        case "BillingAccount":
            return patched_account(stored, patch, LATER)
        case "Product":
            return patched_product(stored, patch, LATER)
        case "ProductOffering":
            return patched_offering(stored, patch, dict.fromkeys(price_ids(merge(stored["resource"], patch)), PRICE), LATER)
    return patched_resource(definition, stored, patch, LATER)


def stored_and_sent(definition: str, document: Mapping[str, Any]) -> None:
    """MongoDB takes the document, and it can be sent."""
    bson.encode(dict(document), codec_options=CODEC_OPTIONS)
    write_json(RESOURCES[definition].render(document, LINKS))


@cache
def cases(definition: str) -> tuple[tuple[tuple[str | int, ...], Mapping[str, Any]], ...]:
    """The path and the schema of every attribute, down to DEPTH_MAX levels."""
    return tuple(_attributes(RESOURCES[definition].api, {"$ref": f"#/definitions/{definition}"}, ()))


def _attributes(api: str, schema: Mapping[str, Any], path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    definitions = swagger(api)["definitions"]
    if "$ref" in schema:
        schema = definitions[schema["$ref"].removeprefix("#/definitions/")]
    if schema.get("type") == "array":
        yield from _attributes(api, schema["items"], (*path, 0))
    elif sum(isinstance(step, str) for step in path) < DEPTH_MAX:
        for name, member in schema.get("properties", {}).items():
            yield (*path, name), member
            yield from _attributes(api, member, (*path, name))


def is_wrong(api: str, schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of another type than a schema says. Nothing is no value, and an open object takes all."""
    if "$ref" in schema:
        target = swagger(api)["definitions"][schema["$ref"].removeprefix("#/definitions/")]
        if not target.get("properties") and "enum" not in target:
            return False
        schema = target if "enum" in target else {"type": "object"}
    if value is None:
        return False
    fits = isinstance(value, FITS[schema["type"]]) and not (isinstance(value, bool) and schema["type"] != "boolean")
    return not fits or schema.get("format") in ("date-time", "uri") or "enum" in schema


def nested(path: tuple[str | int, ...], value: Any) -> Any:
    """The value within objects and lists that hold nothing else."""
    for step in reversed(path):
        value = {step: value} if isinstance(step, str) else [value]
    return value


def names(path: tuple[str | int, ...], refusal: Refusal) -> bool:
    """Whether a refusal names the attribute, or what holds it."""
    first = str(path[0])
    return first in refusal.message


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("definition", RESOURCES)
def test_a_post_with_any_attribute_as_anything_is_stored_or_refused_by_name(definition, kind):
    for path, schema in cases(definition):
        body = {**deepcopy(BODIES[definition]), **nested(path, deepcopy(VALUES[kind]))}
        _try(definition, path, schema, kind, partial(opened, definition, body))


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("definition", PATCHABLE)
def test_a_merge_patch_with_any_attribute_as_anything_is_stored_or_refused_by_name(definition, kind):
    stored = opened(definition, BODIES[definition])
    for path, schema in cases(definition):
        patch = nested(path, deepcopy(VALUES[kind]))
        _try(definition, path, schema, kind, partial(patched, definition, stored, partial(_merged, patch)))


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("definition", PATCHABLE)
def test_a_json_patch_with_any_attribute_as_anything_is_stored_or_refused_by_name(definition, kind):
    stored = opened(definition, BODIES[definition])
    for path, schema in cases(definition):
        value = nested(path[1:], deepcopy(VALUES[kind]))
        for op in ("add", "replace"):
            operation = {"op": op, "path": f"/{path[0]}", "value": value}
            _try(definition, path, schema, kind, partial(patched, definition, stored, partial(_operated, [operation])))


def _merged(patch: Any, shown: dict[str, Any]) -> Any:
    return merge(shown, patch)


def _operated(operations: list[Any], shown: dict[str, Any]) -> Any:
    return apply_json_patch(shown, operations)


def _try(definition: str, path: tuple[str | int, ...], schema: Mapping[str, Any], kind: str, work: Any) -> None:
    where = f"{definition} {path} as {kind}"
    refused: Refusal | None = None
    try:
        document = work()
    except (BadRequest, Conflict) as refusal:
        refused = refusal
    except Exception as error:
        raise AssertionError(f"{where}: {error!r}") from error
    if refused is not None:
        assert names(path, refused), f"{where}: {refused.message}"
        return
    assert not is_wrong(RESOURCES[definition].api, schema, VALUES[kind]), f"{where} was stored"
    stored_and_sent(definition, document)


@pytest.mark.parametrize("definition", PATCHABLE)
def test_what_is_shown_can_be_sent_back_and_changes_nothing(definition):
    stored = opened(definition, BODIES[definition])
    shown = read_json(write_json(RESOURCES[definition].render(stored, LINKS)))

    assert patched(definition, stored, partial(_merged, shown)) is stored
    assert patched(definition, stored, partial(_operated, [{"op": "replace", "path": "", "value": shown}])) is stored
