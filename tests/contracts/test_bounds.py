"""What no service could store, add or pass on is refused by the type of its fact."""

import json
from pathlib import Path
from typing import Any

import pytest

from libs.contracts import Fact, MalformedFact
from tests.contracts.test_fact_examples import EXAMPLES, FACTS


def example(topic: str) -> tuple[type[Fact], dict[str, Any]]:
    path: Path = sorted((EXAMPLES / topic).glob("*.json"))[-1]
    return FACTS[topic], json.loads(path.read_text())


@pytest.mark.parametrize(
    ("topic", "path", "value"),
    [
        ("account.changed.v1", ("revision",), 2**63),
        ("account.changed.v1", ("revision",), -1),
        ("account.changed.v1", ("revision",), "1_000"),
        ("account.changed.v1", ("revision",), 1.0),
        ("account.changed.v1", ("revision",), True),
        ("account.changed.v1", ("id",), "a\x00b"),
        ("bill.issued.v1", ("amount_due",), "1e6144"),
        ("bill.issued.v1", ("amount_due",), "1E-12"),
        ("bill.issued.v1", ("amount_due",), "1_000"),
        ("bill.issued.v1", ("amount_due",), "١٢٣"),
        ("bill.issued.v1", ("amount_due",), "NaN"),
        ("bill.issued.v1", ("amount_due",), True),
        ("bill.issued.v1", ("lines", 0, "amount"), "9" * 26),
        ("bill.issued.v1", ("lines", 0, "usage_count"), 2**63),
        ("charges.closed.v1", ("lines", 0, "usage_count"), 10**30),
        ("charges.closed.v1", ("lines", 0, "amount"), "0." + "0" * 40 + "1"),
        ("charges.closed.v1", ("lines", 0, "quantity"), "1" * 35),
        ("charges.closed.v1", ("lines", 0, "unit"), "s\x00"),
        ("suspense.retry_requested.v1", ("suspense_id",), "a\x00b"),
        ("suspense.retry_requested.v1", ("after",), "a\x00b"),
        ("suspense.retry_requested.v1", ("rated_count",), 2**63),
        ("bill_run.changed.v1", ("counts", "amounts"), {"a.b": "1"}),
        ("bill_run.changed.v1", ("counts", "amounts"), {"$inc": "1"}),
        ("bill_run.changed.v1", ("counts", "billed"), 2**63),
        ("on_demand_bill.completed.v1", ("bill_id",), "b\x00"),
        ("usage.rated.v1", ("numerator",), 10**34),
        ("usage.rerated.v1", ("new", 0, "numerator"), -(10**34)),
        ("threshold.crossed.v1", ("amount",), "1e400"),
        ("bill.preview_requested.v1", ("requested_at",), "0001-01-01T00:00:00Z"),
        ("bill.preview_requested.v1", ("requested_at",), "9999-12-31T23:59:59Z"),
    ],
)
def test_a_value_that_cannot_be_kept_is_malformed(topic: str, path: tuple[str | int, ...], value: Any):
    fact, told = example(topic)
    fact.from_message(json.dumps(told).encode())
    inner: Any = told
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(MalformedFact):
        fact.from_message(json.dumps(told).encode())


@pytest.mark.parametrize("value", ["0.1", "12345678.123456", "9" * 25, "-1e3", "0", 5, 0.25])
def test_an_amount_is_kept_as_it_is_written(value: Any):
    fact, told = example("bill.issued.v1")
    told["amount_due"] = value
    assert str(fact.from_message(json.dumps(told).encode()).amount_due) == str(value).upper().replace("E", "E+")  # type: ignore[attr-defined]


@pytest.mark.parametrize("written", ["0.12345678901234567890", "1e-400", "0.0"])
def test_a_number_that_a_float_does_not_hold_is_malformed(written: str):
    fact, told = example("bill.issued.v1")
    told["amount_due"] = "AMOUNT"
    with pytest.raises(MalformedFact, match="amount_due"):
        fact.from_message(json.dumps(told).replace('"AMOUNT"', written).encode())


@pytest.mark.parametrize(
    "written", [b"1e400", b"1" + b"0" * 40, b"NaN", rb'"\ud800"', rb'"\u0000"', b"[" * 80 + b"]" * 80, b'"\xed\xa0\x80"', rb'{"\ud800": 1}']
)
def test_an_event_that_cannot_be_sent_is_malformed(written: bytes):
    fact, told = example("hub.event_raised.v1")
    told["envelope"]["event"] = {"x": "VALUE"}
    with pytest.raises(MalformedFact):
        fact.from_message(json.dumps(told).encode().replace(b'"VALUE"', written))
