"""Handlers: subscribed by their annotation, answering with facts, and three kinds of error only."""

import ast
from collections.abc import Iterator

from tests.architecture.source import Module, modules, nodes, report

# Here every error of a handler is parked with its message, or becomes back-off and retry, and nowhere else.
MAY_CATCH_ALL = {"libs/runtime/subscription.py", "libs/runtime/parking/isolation.py"}
# A run publishes its cuts in slices, for a million must not be in memory at once; asking again for a refused cut answers no message.
MAY_PUBLISH = {"start_bill_runs", "ask_refused_again"}
PUBLISHING = {"publish", "publish_raw", "send_and_wait"}
FUNCTION_LINES_MAX = 80


def test_no_error_is_swallowed():
    found = [
        f"{module.where(handler)} catches {'everything' if handler.type is None else ast.unparse(handler.type)}"
        for module in modules()
        if module.path not in MAY_CATCH_ALL
        for handler in nodes(module.tree)
        if isinstance(handler, ast.ExceptHandler) and _is_broad(handler) and not _only_cleans_up(handler)
    ]

    assert not found, report(
        found,
        "Catch the exception that you expect. A refusal is a returned fact; what can never succeed is Unprocessable; "
        "let anything else go up: the runtime keeps the offset, backs off and comes again.",
    )


def test_every_handler_is_annotated_with_its_batch_and_answers_with_facts():
    background = {name for module in modules("services") for _, name in _handed_to("background", module.tree)}
    found = [
        f"{module.where(function)} {function.name}: {fault}"
        for module in _handler_modules()
        for function in module.tree.body
        if isinstance(function, ast.AsyncFunctionDef) and not function.name.startswith("_")
        if function.name not in background
        for fault in _faults(function)
    ]

    assert not found, report(
        found,
        "A handler is `async def verb_object(batch: Batch[SomeFact], *, store: X) -> Sequence[Fact]`: the annotation subscribes it, and "
        "what it returns is published before the offset goes.",
    )


def test_handlers_do_not_publish_themselves():
    found = [
        f"{module.where(node)} {ast.unparse(node.func)}(…)"
        for module in _handler_modules()
        for function in _functions(module.tree)
        if function.name not in MAY_PUBLISH
        for node in nodes(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in PUBLISHING
    ]

    assert not found, report(found, "Return the facts: the runtime publishes them, and only then commits the offset.")


def test_what_is_subscribed_is_a_handler_with_a_batch():
    handlers = {
        function.name for module in modules("services", "libs/runtime") for function in _functions(module.tree) if _has_batch(function)
    }
    found = [
        f"{module.where(call)} subscribes {name}"
        for module in modules("services")
        if module.path.endswith("/service.py")
        for call, name in _handed_to("subscribe", module.tree)
        if name not in handlers
    ]

    assert not found, report(found, "Annotate the first parameter of what is subscribed as Batch[SomeFact].")


def test_functions_are_short():
    found = [
        f"{module.where(function)} {function.name}: {lines} lines"
        for module in modules()
        for function in _functions(module.tree)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES_MAX
    ]

    assert not found, report(
        found, f"More than {FUNCTION_LINES_MAX} lines: let the parent decide and move what it computes into functions of their own."
    )


def _handler_modules() -> Iterator[Module]:
    return (module for module in modules("services") if module.path.split("/")[2:] == ["handlers.py"])


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in nodes(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def _faults(function: ast.AsyncFunctionDef) -> Iterator[str]:
    if not _has_batch(function):
        yield "its first parameter is not annotated as Batch[SomeFact]"
    returned = ast.unparse(function.returns) if function.returns else "nothing"
    if not returned.startswith(("Sequence[", "list[", "tuple[")):
        yield f"it is annotated to return {returned}, not Sequence[Fact]"


def _has_batch(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    parameters = [argument for argument in function.args.args if argument.arg != "self"]
    return bool(parameters) and parameters[0].annotation is not None and ast.unparse(parameters[0].annotation).startswith("Batch[")


def _handed_to(method: str, tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """The names of the functions that `service.<method>(partial(name, …))` or `service.<method>(name)` hand over."""
    for call in nodes(tree):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == method and call.args):
            continue
        handed = call.args[0]
        if isinstance(handed, ast.Call) and ast.unparse(handed.func) == "partial":
            handed = handed.args[0]
        name = handed.attr if isinstance(handed, ast.Attribute) else ast.unparse(handed)
        yield from ((call, looped) for looped in _looped_over(tree, name))


def _looped_over(tree: ast.AST, name: str) -> list[str]:
    """A loop variable stands for what it loops over."""
    for loop in nodes(tree):
        if isinstance(loop, ast.For) and ast.unparse(loop.target) == name and isinstance(loop.iter, ast.Tuple | ast.List):
            return [ast.unparse(element) for element in loop.iter.elts]
    return [name]


def _is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(caught) in ("Exception", "BaseException") for caught in types)


def _only_cleans_up(handler: ast.ExceptHandler) -> bool:
    """Ends by raising the same error again, so nothing is swallowed."""
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
