"""The source as the architecture tests read it: every module of libs and services with its syntax tree."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("invoicing", "ledger", "notifications", "on_demand_bill", "operations", "rating", "tmf_gateway")


@dataclass(frozen=True)
class Module:
    """One file; `path` is relative to the repository, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax, which is read when first asked for: some checks want the text alone."""
        return ast.parse(self.text)

    @property
    def service(self) -> str | None:
        """The service that it belongs to."""
        parts = self.path.split("/")
        return parts[1] if parts[0] == "services" and len(parts) > 2 else None

    @property
    def is_pure(self) -> bool:
        """Whether it belongs to the trade itself, which sees no clock, session, logger or settings."""
        single = (
            "libs/money.py",
            "libs/periods.py",
            "libs/exact_decimal.py",
            "libs/exact_json.py",
            "libs/hub_query.py",
            "libs/hub_signature.py",
        )
        return self.path in single or self.path.startswith(("libs/pricing/", "libs/billing/", "libs/tariffs/")) or self.in_domain

    @property
    def in_domain(self) -> bool:
        """Whether it belongs to a package named domain."""
        return "/domain/" in self.path

    @property
    def handles_money(self) -> bool:
        """Whether amounts pass through it."""
        return self.path == "libs/money.py" or self.path.startswith(("libs/pricing/", "libs/billing/", "libs/tariffs/")) or self.in_domain

    def where(self, node: ast.AST) -> str:
        """`path:line`, as editors understand it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def modules(*folders: str) -> Iterator[Module]:
    """Every module below these folders of the repository; of libs and services when none is named."""
    for folder in folders or ("libs", "services"):
        yield from map(_read, _below(folder))


@cache
def _below(folder: str) -> tuple[Path, ...]:
    return tuple(sorted((ROOT / folder).rglob("*.py")))


@cache
def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    return Module(path.relative_to(ROOT).as_posix(), text)


@cache
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """The node and all below it, as ast.walk finds them; walked once for all checks."""
    return tuple(ast.walk(tree))


@cache
def calls(tree: ast.AST) -> tuple[tuple[ast.Call, str], ...]:
    """Every call with what is called, as written: `datetime.now`."""
    return tuple((node, written(node.func)) for node in nodes(tree) if isinstance(node, ast.Call))


def written(expression: ast.expr) -> str:
    """The expression as source; ast.unparse takes most of all checks' time when names with dots go through it too."""
    names: list[str] = []
    inner = expression
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    return ".".join([inner.id, *reversed(names)]) if isinstance(inner, ast.Name) else ast.unparse(expression)


def report(findings: list[str], remedy: str) -> str:
    """What a failed check says."""
    return "\n".join([*findings, "", remedy])
