"""`tarifa asyncapi`: write docs/asyncapi.yaml from the facts, and from who names them in the source.

Who receives a fact is exact: a handler's annotation is its subscription. Who sends one is read from where the fact is
made: in a service's package, or in the library of its trade.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from libs.contracts import UsageReceived, all_facts
from libs.contracts.asyncapi import Operation, asyncapi_document
from libs.devstack.settings import PROJECT_ROOT, SERVICES

DOCUMENT = PROJECT_ROOT / "docs" / "asyncapi.yaml"
DESCRIPTION = (
    "What Tarifa's services tell each other over Kafka. Each topic carries one kind of fact in one version; optional fields may be added, "
    "anything else is a new topic. Readers ignore fields that they do not know. `every_service` stands for each of them, `operator` for "
    "the command line, `mediation` for the network's side. Written by `tarifa asyncapi`."
)

# Libraries that make facts for a service, and who makes facts besides the services.
_SOURCES = {
    **{service: (f"services/{service}",) for service in SERVICES},
    "invoicing": ("services/invoicing", "libs/billing"),
    "rating": ("services/rating", "libs/pricing"),
    "every_service": ("libs/runtime",),
    "operator": ("libs/cli", "libs/demo"),
}
_CONSTRUCTORS = ("model_validate", "of")

app = typer.Typer()
progress = Console(stderr=True, highlight=False)


@app.command()
def asyncapi(
    output: Annotated[Path, typer.Option(help="Where to write it.", show_default="docs/asyncapi.yaml")] = DOCUMENT,
) -> None:
    """Write the AsyncAPI document of all facts: topics, keys, schemas, who sends and who receives."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(document_text(), encoding="utf-8")
    progress.print(f"wrote {output}", soft_wrap=True)


def document_text() -> str:
    """The document as YAML."""
    return yaml.dump(asyncapi_document(_operations(), DESCRIPTION), Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=140)


def _operations() -> Iterator[Operation]:
    topics = {fact.__name__: fact.topic for fact in all_facts()}
    yield Operation("mediation", "send", UsageReceived.topic)
    for participant, folders in _SOURCES.items():
        for path in (path for folder in folders for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for name in _received(tree):
                if name in topics:
                    yield Operation(participant, "receive", topics[name])
            for name in _made(tree):
                if name in topics:
                    yield Operation(participant, "send", topics[name])


def _received(tree: ast.Module) -> Iterator[str]:
    """The classes that a first parameter annotated `Batch[A]` or `Batch[A | B]` names."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        for argument in function.args.args:
            if isinstance(argument.annotation, ast.Subscript) and ast.unparse(argument.annotation.value) == "Batch":
                yield from (node.id for node in ast.walk(argument.annotation.slice) if isinstance(node, ast.Name))


def _made(tree: ast.Module) -> Iterator[str]:
    """The classes that are called, or built by one of a fact's own constructors."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            yield node.func.id
        elif isinstance(node.func, ast.Attribute) and node.func.attr in _CONSTRUCTORS and isinstance(node.func.value, ast.Name):
            yield node.func.value.id
