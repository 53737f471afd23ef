"""Whatever a topic lets in can be written, stored and read again by everybody who consumes it."""

import random
from decimal import Decimal
from typing import Any

import bson
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from libs.contracts import Fact, HubEventRaised, MalformedFact
from libs.runtime.exact_numbers import decimal128
from libs.runtime.mongo import CODEC_OPTIONS
from tests.contracts.test_fact_examples import FACTS, of_topic
from tests.examples import examples
from tests.mutations import mutated

MESSAGES = {topic: [path.read_bytes() for path in of_topic(topic)] for topic in FACTS}
INT64_MAX = 2**63 - 1


@pytest.mark.parametrize("topic", FACTS)
@examples(50)
@given(seed=st.integers(0, 2**32))
def test_what_a_topic_lets_in_comes_through_messages_and_documents(topic: str, seed: int):
    chance = random.Random(seed)
    try:
        fact = FACTS[topic].from_message(mutated(chance.choice(MESSAGES[topic]), chance))
    except MalformedFact:
        return
    assert type(fact).from_message(fact.to_message()) == fact
    document = _document(fact)
    stored = bson.decode(bson.encode(document, codec_options=CODEC_OPTIONS), codec_options=CODEC_OPTIONS)
    assert _same(stored, document)
    if isinstance(fact, BaseModel) and not isinstance(fact, HubEventRaised):
        assert type(fact).model_validate(stored) == fact


def _document(fact: Fact) -> dict[str, Any]:
    """Return a fact as MongoDB would be given it: an event of the hub as the message that is kept of it."""
    if isinstance(fact, HubEventRaised):
        return {**fact.model_dump(exclude={"envelope"}), "message": fact.to_message(), "envelope": {}}
    if isinstance(fact, BaseModel):
        return fact.model_dump()
    assert isinstance(fact, msgspec.Struct)
    return {name: _stored(getattr(fact, name)) for name in fact.__struct_fields__}


def _stored(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return {name: _stored(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, tuple):
        return [_stored(part) for part in value]
    return decimal128(value).to_decimal() if isinstance(value, int) and abs(value) > INT64_MAX else value


def _same(stored: Any, given: Any) -> bool:
    if isinstance(given, dict):
        return stored.keys() == given.keys() and all(_same(stored[name], value) for name, value in given.items())
    if isinstance(given, list | tuple):
        return len(stored) == len(given) and all(map(_same, stored, given))
    return Decimal(stored) == given if isinstance(given, Decimal) else stored == given
