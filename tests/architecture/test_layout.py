"""The same few file names mean the same thing everywhere, and a file is the thing that it is named after."""

import ast
import re

import pytest

from tests.architecture.source import ROOT, SERVICES, Module, calls, modules, nodes, report

FILE_LINES_MAX = 400
NAMES_NOT_SAYING_ANYTHING = {"utils", "util", "helpers", "helper", "common", "base", "manager", "core", "misc", "shared", "lib", "tools"}
SUFFIXES_NAMING_A_PATTERN = ("Manager", "Factory", "Impl", "DTO", "Helper", "Utils", "Interface", "Singleton", "Mixin")
SERVICE_FILES = ("README.md", "__init__.py", "__main__.py", "service.py", "handlers.py", "store.py", "domain/__init__.py")


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_files(service: str):
    missing = [name for name in SERVICE_FILES if not (ROOT / "services" / service / name).exists()]

    assert not missing, (
        f"services/{service} lacks {', '.join(missing)}. Every service has README.md, __main__.py, service.py (settings and build), "
        "handlers.py, store.py and domain/."
    )


@pytest.mark.parametrize("service", SERVICES)
def test_the_readme_of_a_service_names_all_its_environment(service: str):
    readme = ROOT / "services" / service / "README.md"
    told = readme.read_text(encoding="utf-8") if readme.exists() else ""

    missing = sorted(name for module in modules(f"services/{service}") for name in _settings(module) if name not in told)

    assert not missing, f"services/{service}/README.md does not name {', '.join(missing)}: say what it sets, and its default"


def test_no_file_is_named_after_nothing():
    found = [module.path for module in modules() if NAMES_NOT_SAYING_ANYTHING & set(module.path.removesuffix(".py").split("/")[1:])]

    assert not found, report(found, "Name a file after the thing that it defines.")


def test_no_class_is_named_after_a_pattern():
    found = [
        f"{module.where(node)} {node.name}"
        for module in modules()
        for node in nodes(module.tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith(SUFFIXES_NAMING_A_PATTERN)
    ]

    assert not found, report(found, "Name a class after what it is in the trade, not after a pattern.")


def test_files_stay_small():
    found = [f"{module.path}: {lines} lines" for module in modules() if (lines := module.text.count("\n")) > FILE_LINES_MAX]

    assert not found, report(found, f"More than {FILE_LINES_MAX} lines: a file of that size holds two things. Give each its own.")


def test_every_module_says_what_it_is():
    found = [
        module.path
        for module in modules()
        if ast.get_docstring(module.tree) is None and not (module.path.endswith("__init__.py") and not module.text.strip())
    ]

    assert not found, report(found, "Open the module with one to five sentences: what it is, its shape, its invariant.")


def test_every_index_names_the_query_it_serves():
    found = [
        f"{module.where(call)} {ast.unparse(call)[:80]}"
        for module in modules()
        for call, called in calls(module.tree)
        if called == "Index" and not _serves(call)
    ]

    assert not found, report(found, "Say after the keys which query the index serves; an index that serves none costs every write.")


def test_every_store_lists_its_indexes():
    found = [
        module.path
        for module in modules("services")
        if module.path.endswith("/store.py")
        if not any(
            isinstance(node, ast.Assign | ast.AnnAssign) and "INDEXES" in ast.unparse(node).split("=")[0] for node in module.tree.body
        )
    ]

    assert not found, report(found, "Every store.py declares INDEXES; the composition root hands them to Service, which creates them.")


def test_no_banner_comments():
    found = [
        f"{module.path}:{number}"
        for module in modules("libs", "services", "tests")
        for number, line in enumerate(module.text.splitlines(), 1)
        if re.match(r"\s*#\s*[-=#*]{4,}", line)
    ]

    assert not found, report(found, "A banner marks where a file should be two.")


def _settings(module: Module) -> list[str]:
    """The environment variables of the settings class in a service.py."""
    if not module.path.endswith("/service.py"):
        return []
    classes = [
        node for node in module.tree.body if isinstance(node, ast.ClassDef) and any("Settings" in ast.unparse(b) for b in node.bases)
    ]
    fields = [field for node in classes for field in node.body if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)]
    return [_alias(field) or field.target.id.upper() for field in fields if isinstance(field.target, ast.Name)]


def _alias(field: ast.AnnAssign) -> str | None:
    if isinstance(field.value, ast.Call):
        for keyword in field.value.keywords:
            if keyword.arg == "validation_alias" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return None


def _serves(call: ast.Call) -> bool:
    told = call.args[2] if len(call.args) > 2 else next((k.value for k in call.keywords if k.arg == "serves"), None)
    return told is not None and not (isinstance(told, ast.Constant) and len(str(told.value)) < 8)
