"""The AsyncAPI document: complete, consistent, up to date, and served."""

import json
import re
from decimal import Decimal

import httpx
import pytest
import yaml
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from libs.cli.asyncapi import DOCUMENT, document_text
from libs.contracts import BillIssued, UsageReceived, all_facts
from libs.runtime.fact_catalog import fact_catalog_routes
from tests.contracts.test_fact_examples import FILES, name


@pytest.fixture(scope="module")
def written() -> str:
    return document_text()


@pytest.fixture(scope="module")
def document(written) -> dict:
    return yaml.load(written, Loader=yaml.CSafeLoader)


def test_the_file_is_up_to_date(written):
    current = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""

    assert current == written, "docs/asyncapi.yaml no longer says what the facts say: run `tarifa asyncapi` and commit the file"


def test_every_fact_has_its_channel_with_its_key(document):
    for fact in all_facts():
        assert document["channels"][fact.topic]["messages"].keys() == {fact.__name__}
        assert fact.key_field in document["components"]["messages"][fact.__name__]["bindings"]["kafka"]["key"]["description"]


def test_every_fact_is_sent_by_somebody(document):
    sent = {operation["channel"]["$ref"] for operation in document["operations"].values() if operation["action"] == "send"}

    unsent = [fact.__name__ for fact in all_facts() if f"#/channels/{fact.topic}" not in sent]

    assert not unsent, f"nobody makes {', '.join(unsent)}: remove what no service, command or adapter publishes"


def test_every_reference_leads_somewhere(document, written):
    for reference in re.findall(r"\$ref: '?#/([^'\n]+)'?", written):
        target = document
        for step in reference.split("/"):
            target = target[step]


@pytest.mark.parametrize("quantity", [600, 0.5, "600"])
def test_a_quantity_is_a_number_or_a_text_as_it_is_read(quantity, document):
    usage = {"id": "u", "identifier": "+1", "usage_type": "voice", "started_at": "2026-03-02T10:00:00Z", "unit": "s", "quantity": quantity}

    assert UsageReceived.from_message(json.dumps(usage).encode()).quantity == Decimal(str(quantity))
    Draft202012Validator(document["components"]["schemas"]["UsageReceived"]).validate(usage)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_example_meets_its_schema(path, document):
    (message,) = document["channels"][path.parent.name]["messages"]
    schema = {"$ref": document["components"]["messages"][message]["payload"]["$ref"], "components": document["components"]}

    Draft202012Validator(schema).validate(yaml.safe_load(path.read_text()))


async def test_a_service_serves_it_with_what_it_receives():
    http = FastAPI()
    http.include_router(fact_catalog_routes("ledger", [BillIssued]))

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=http), base_url="http://ledger") as client:
        served = (await client.get("/asyncapi.json")).json()

    assert list(served["operations"]) == ["ledger.receive.bill.issued.v1"]
    assert served["channels"].keys() == {fact.topic for fact in all_facts()}
