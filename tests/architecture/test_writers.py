"""One writer per collection: only a service writes its own database."""

import ast
from collections.abc import Iterator

from tests.architecture.source import SERVICES, modules, nodes, report

WRITES = {
    "insert_one",
    "insert_many",
    "update_one",
    "update_many",
    "replace_one",
    "delete_one",
    "delete_many",
    "bulk_write",
    "find_one_and_update",
    "find_one_and_replace",
    "find_one_and_delete",
    "drop",
    "drop_database",
    "drop_collection",
    "create_index",
    "create_indexes",
    "upload_from_stream",
    "open_upload_stream",
}
# The runtime writes the collections that every service has of its own; the benchmarks have databases to throw away; a restore
# writes all of them while no service runs.
OTHER_WRITERS = (
    "libs/bench/",
    "libs/backup/restore.py",
    "libs/runtime/adoption.py",
    "libs/runtime/copies.py",
    "libs/runtime/gaps.py",
    "libs/runtime/lease.py",
    "libs/runtime/mongo.py",
    "libs/runtime/parking/",
)


def test_only_stores_of_services_and_the_runtime_write():
    found = [
        f"{module.where(call)} {ast.unparse(call.func)}(…)"
        for module in modules()
        if module.service is None and not module.path.startswith(OTHER_WRITERS)
        for call in _writes(module.tree)
    ]

    assert not found, report(
        found, "Commands, audits and libraries only read. What they want changed they publish as a fact, or ask for over HTTP."
    )


def test_no_service_writes_the_database_of_another():
    found = [
        f"{module.where(call)} writes through {ast.unparse(call.func)}, which is the database of {owner}"
        for module in modules("services")
        for scope in _scopes(module.tree)
        for owner, names in _foreign_names(scope, module.service).items()
        for call in _writes(scope)
        if names & {ast.unparse(node) for node in nodes(call.func) if isinstance(node, ast.Name | ast.Attribute)}
    ]

    assert not found, report(found, "Each collection has one writer. Publish a fact to its owner instead.")


def test_only_the_gateway_reads_the_databases_of_others():
    found = [
        f"{module.where(call)} opens the database of {owner}"
        for module in modules("services")
        if module.service != "tmf_gateway"
        for call, owner in _opened(module.tree)
        if owner != module.service
    ]

    assert not found, report(
        found, "Keep a copy of what you need, built from facts (libs/runtime/copies.py); only the gateway reads documents of others."
    )


def test_nobody_else_reads_duplicate_keys():
    names = ("11000", "DuplicateKeyError")
    readers = [module.path for module in modules() if any(name in module.text for name in names)]
    assert readers == ["libs/runtime/mongo_errors.py"], report(readers, "Use ids_may_be_there() of libs.runtime.mongo_errors.")


def _writes(tree: ast.AST) -> Iterator[ast.Call]:
    return (
        node for node in nodes(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES
    )


def _opened(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Calls such as database(client, settings, "rating") or settings.database("rating")."""
    for node in nodes(tree):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("database", "get_database")):
            continue
        for argument in node.args:
            if isinstance(argument, ast.Constant) and argument.value in SERVICES:
                yield node, argument.value


def _scopes(tree: ast.Module) -> Iterator[ast.AST]:
    """Classes, whose attributes live together, and functions outside them."""
    return (node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef))


def _foreign_names(scope: ast.AST, service: str | None) -> dict[str, set[str]]:
    """Per other service, the names that its database, or a collection of it, is assigned to."""
    names: dict[str, set[str]] = {}
    assignments = [node for node in nodes(scope) if isinstance(node, ast.Assign)]
    for assignment in assignments:
        for _, owner in _opened(assignment.value):
            if owner != service:
                names.setdefault(owner, set()).update(ast.unparse(target) for target in assignment.targets)
    for known in names.values():
        for assignment in assignments:
            if known & {ast.unparse(node) for node in nodes(assignment.value) if isinstance(node, ast.Name | ast.Attribute)}:
                known.update(ast.unparse(target) for target in assignment.targets)
    return names
