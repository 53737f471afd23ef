"""Every released version of a fact must be readable for ever: its examples are kept, and parse.

An example is `examples/<topic>/<release>-<what>.json`. Never change one that was released: add another.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from libs.contracts import Fact, HotFact, all_facts

EXAMPLES = Path(__file__).parent / "examples"
FACTS = {fact.topic: fact for fact in all_facts()}
FILES = sorted(EXAMPLES.glob("*/*.json"))


def of_topic(topic: str) -> list[Path]:
    return [path for path in FILES if path.parent.name == topic]


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("fact", FACTS.values(), ids=FACTS)
def test_every_fact_has_an_example_of_every_field(fact: type[Fact]):
    shown = {field for path in of_topic(fact.topic) for field in json.loads(path.read_text())}

    missing = sorted(set(fact.__struct_fields__ if issubclass(fact, HotFact) else fact.model_fields) - shown)

    assert not missing, (
        f"{fact.__name__}: no example shows {', '.join(missing)}. Add a file to tests/contracts/examples/{fact.topic}/ named after the "
        "release that brings it, such as 0.2.0-full.json; leave the older ones as they are."
    )


def test_no_example_belongs_to_a_topic_that_is_gone():
    orphans = sorted({path.parent.name for path in FILES} - set(FACTS))

    assert not orphans, (
        f"{', '.join(orphans)}: messages of these topics may still lie on a broker. Keep the old fact class beside its new version."
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_an_example_parses_and_comes_through_a_message_unchanged(path: Path):
    fact = FACTS[path.parent.name].from_message(path.read_bytes())

    assert type(fact).from_message(fact.to_message()) == fact
    assert fact.key


@pytest.mark.parametrize("path", FILES, ids=name)
def test_what_an_example_says_is_what_its_message_says(path: Path):
    fact = FACTS[path.parent.name].from_message(path.read_bytes())

    lost = _lost(json.loads(path.read_text()), json.loads(fact.to_message()))

    assert not lost, f"{name(path)}: {', '.join(lost)} did not come through. A released field keeps its name and its meaning."


@pytest.mark.parametrize("path", FILES, ids=name)
def test_an_example_with_fields_of_a_newer_version_still_parses(path: Path):
    fact = FACTS[path.parent.name]
    newer = _with_unknown_fields(json.loads(path.read_text()))
    newer_text = json.dumps(newer).encode()

    assert fact.from_message(newer_text).key == fact.from_message(path.read_bytes()).key


def _lost(told: Any, written: Any, path: str = "") -> list[str]:
    if isinstance(told, dict) and isinstance(written, dict):
        return [lost for field, value in told.items() for lost in _lost(value, written.get(field), f"{path}.{field}".lstrip("."))]
    if isinstance(told, list) and isinstance(written, list) and len(told) == len(written):
        return [lost for index, pair in enumerate(zip(told, written, strict=True)) for lost in _lost(*pair, f"{path}[{index}]")]
    return [] if told == written else [path]


def _with_unknown_fields(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_unknown_fields(element) for element in node]
    if not isinstance(node, dict):
        return node
    # Sums by currency or denominator have no fields of their own.
    if any(re.fullmatch(r"[A-Z]{3}|[0-9]+", key) for key in node):
        return node
    # Dictionaries of free keys, such as characteristics, hold plain values: what is added must be one as well.
    filler = next((value for value in node.values() if isinstance(value, str)), "from the future")
    return {key: _with_unknown_fields(value) for key, value in node.items()} | {"addedLater": filler}
