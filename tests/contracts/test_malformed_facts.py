"""Reading a body that is not the fact of its topic raises MalformedFact, whatever the parser or a validator raises."""

import re

import pytest
from pydantic import model_validator

from libs.contracts import Fact, HotFact, MalformedFact, UsageReceived, UsageRejected
from libs.contracts.fact import RecordFact
from tests.contracts.test_fact_examples import FACTS

ERRORS = (
    ArithmeticError("inexact"),
    OverflowError("too large"),
    AssertionError("an invariant"),
    AttributeError("no such attribute"),
    KeyError("missing"),
    IndexError("beyond the end"),
    RecursionError("too deep"),
    TypeError("of another type"),
    ValueError("no value"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
)


BODIES = (b"", b"null", b"[]", b"{}", b"{", b"\xff", b"\x00", b"1e999", b"[" * 100_000, b'{"id": "\\ud800"}')


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_any_error_of_reading_makes_a_message_malformed(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.contracts.fact._facts_by_topic", {})

    class Hot(HotFact, topic="hot", key="id"):
        id: str

        def check_message(self, body: bytes) -> None:
            raise error

    class Modelled(RecordFact, topic="modelled", key="id"):
        id: str

        @model_validator(mode="before")
        @classmethod
        def fail(cls, body: object) -> object:
            raise error

    for fact in (Hot, Modelled):
        with pytest.raises(MalformedFact, match=re.escape(str(error))):
            fact.from_message(b'{"id": "1"}')


@pytest.mark.parametrize("topic", FACTS)
def test_what_is_no_fact_is_malformed(topic: str) -> None:
    for body in BODIES:
        with pytest.raises(MalformedFact):
            FACTS[topic].from_message(body)


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_messages_are_read_in_one_place(fact: type[Fact]) -> None:
    assert fact.from_message.__func__ is Fact.from_message.__func__  # type: ignore[attr-defined]


@pytest.mark.parametrize("quantity", ["NaN", "Infinity", "1e400", "1e-40", '"1_000"', '"\u0661\u0662"', "null", "true"])
def test_a_usage_within_another_fact_is_read_as_its_own_message_is(quantity: str) -> None:
    usage = '{"id": "u", "identifier": "i", "usage_type": "voice", "started_at": "2026-03-02T15:00:00Z", "unit": "s", "quantity": %s}'
    rejected = '{"suspense_id": "u", "reason": "no-price", "detail": "none", "usage": %s}'
    UsageRejected.from_message((rejected % (usage % "60")).encode())
    for fact, body in ((UsageReceived, usage % quantity), (UsageRejected, rejected % (usage % quantity))):
        with pytest.raises(MalformedFact):
            fact.from_message(body.encode())
