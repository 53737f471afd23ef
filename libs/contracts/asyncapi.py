"""The facts as an AsyncAPI 3.0 document: a channel per topic, a message per fact, and who sends and receives it."""

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from libs.contracts.fact import Fact, RecordFact, all_facts
from libs.contracts.hot_fact import HotFact


@dataclass(frozen=True, order=True)
class Operation:
    """A participant sends or receives the facts of a topic."""

    participant: str
    action: Literal["send", "receive"]
    topic: str


def asyncapi_document(operations: Iterable[Operation], description: str) -> dict[str, Any]:
    """The document as JSON-able values, the same for the same facts and operations."""
    facts = list(all_facts())
    # Validation schemas: they promise what every released version of a fact kept, and no more.
    models: list[tuple[type[RecordFact], Literal["validation"]]] = [(fact, "validation") for fact in facts if issubclass(fact, RecordFact)]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    hot_definitions = {name: schema for fact in facts if issubclass(fact, HotFact) for name, schema in fact.json_schemas().items()}
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Tarifa", "version": version("tarifa"), "description": description},
        "defaultContentType": "application/json",
        "channels": {fact.topic: _channel(fact) for fact in facts},
        "operations": {
            f"{operation.participant}.{operation.action}.{operation.topic}": _operation(operation) for operation in sorted(set(operations))
        },
        "components": {
            "messages": {fact.__name__: _message(fact) for fact in facts},
            "schemas": dict(sorted({**definitions["$defs"], **hot_definitions}.items())),
        },
    }


def _channel(fact: type[Fact]) -> dict[str, Any]:
    return {
        "address": fact.topic,
        "messages": {fact.__name__: {"$ref": f"#/components/messages/{fact.__name__}"}},
        "bindings": {"kafka": {"partitions": fact.partitions, "bindingVersion": "0.5.0"}},
    }


def _operation(operation: Operation) -> dict[str, Any]:
    return {
        "action": operation.action,
        "channel": {"$ref": f"#/channels/{operation.topic}"},
        "summary": f"{operation.participant} {operation.action}s {operation.topic}",
        "tags": [{"name": operation.participant}],
    }


def _message(fact: type[Fact]) -> dict[str, Any]:
    summary, _, description = inspect.cleandoc(fact.__doc__ or "").partition("\n\n")
    return {
        "name": fact.__name__,
        "summary": " ".join(summary.split()),
        **({"description": description} if description else {}),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{fact.__name__}"},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": f"`{fact.key_field}`: facts of one key keep their order"},
                "bindingVersion": "0.5.0",
            }
        },
    }
