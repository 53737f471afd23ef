"""The trade itself: no clock, no session, no logger, no settings, no float."""

import ast

from tests.architecture.source import calls, modules, nodes, report

CLOCKS = (
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.monotonic",
    "perf_counter",
    "uuid4",
    "uuid1",
)
LOCAL_TIME = ("datetime.utcnow", "utcfromtimestamp", "date.today", "datetime.today", "time.localtime", "time.mktime", "tzlocal", "localize")
# Duration of an attempt, not an instant of the trade.
IMPURE_MODULES = {
    "structlog",
    "logging",
    "pymongo",
    "aiokafka",
    "faststream",
    "httpx",
    "os",
    "pydantic_settings",
    "random",
    "time",
    "asyncio",
}


def _is(called: str, names: tuple[str, ...]) -> bool:
    return any(called == name or called.endswith(f".{name}") for name in names)


def test_the_trade_reads_no_clock_and_mints_no_ids():
    found = [
        f"{module.where(node)} calls {called}()"
        for module in modules()
        if module.is_pure
        for node, called in calls(module.tree)
        if _is(called, CLOCKS)
    ]

    assert not found, report(found, "Take the time, or the id, as an argument: the handler has both (batch.received_at, the fact's id).")


def test_the_trade_imports_nothing_of_the_outside_world():
    found = [
        f"{module.where(node)} imports {name}"
        for module in modules()
        if module.is_pure
        for node, name in _imports(module.tree)
        if name.split(".")[0] in IMPURE_MODULES or name.startswith("libs.runtime")
    ]

    assert not found, report(
        found, "Pure modules take values and return values: pass in what they need, and do the input and output in handlers or stores."
    )


def test_no_float_and_no_round_where_amounts_pass():
    found = [
        f"{module.where(node)} calls {called}()"
        for module in modules()
        if module.handles_money
        for node, called in calls(module.tree)
        if called in ("float", "round", "math.floor", "math.ceil", "math.fsum")
    ]
    found += [
        f"{module.where(node)} writes the float {node.value}"
        for module in modules()
        if module.handles_money
        for node in nodes(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]

    assert not found, report(
        found,
        "Amounts are Fractions while they are summed and Decimals once they are billed: write Decimal('0.5') or Fraction(1, 2), and round "
        "with libs.money.round_to_minor_unit or round_to_decimals, at the one rounding point.",
    )


def test_nobody_uses_local_time():
    found = [
        f"{module.where(node)} calls {called}()" for module in modules() for node, called in calls(module.tree) if _is(called, LOCAL_TIME)
    ]
    found += [
        f"{module.where(node)} calls {called}() without a time zone"
        for module in modules()
        for node, called in calls(module.tree)
        if _is(called, ("datetime.now", "datetime.fromtimestamp")) and not _has_zone(node, called)
    ]

    assert not found, report(found, "Instants are in UTC: datetime.now(UTC). Local time comes from libs.periods with an account's zone.")


def _has_zone(call: ast.Call, called: str) -> bool:
    needed = 1 if called.endswith("now") else 2
    return len(call.args) >= needed or any(keyword.arg in ("tz", "tzinfo") for keyword in call.keywords)


def _imports(tree: ast.AST) -> list[tuple[ast.AST, str]]:
    found: list[tuple[ast.AST, str]] = []
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            found.extend((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.append((node, node.module or ""))
    return found
