"""JSON Patch: what RFC 6902 says, and what would be too much."""

import pytest

from services.tmf_gateway.domain.json_patch import OPERATIONS_MAX, apply_json_patch
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, Refusal, TooLarge

TARGET = {"name": "Ada", "list": [1, 2], "object": {"a": {"b": True}}, "a/b": "slash", "m~n": "tilde"}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        ({"op": "add", "path": "/new", "value": 1}, {"new": 1}),
        ({"op": "add", "path": "/list/1", "value": 9}, {"list": [1, 9, 2]}),
        ({"op": "add", "path": "/list/-", "value": 3}, {"list": [1, 2, 3]}),
        ({"op": "replace", "path": "/name", "value": "Bob"}, {"name": "Bob"}),
        ({"op": "remove", "path": "/list/0"}, {"list": [2]}),
        ({"op": "copy", "from": "/name", "path": "/again"}, {"again": "Ada"}),
        ({"op": "move", "from": "/list/0", "path": "/list/1"}, {"list": [2, 1]}),
        ({"op": "test", "path": "/a~1b", "value": "slash"}, {}),
        ({"op": "test", "path": "/m~0n", "value": "tilde"}, {}),
    ],
)
def test_an_operation_does_what_the_rfc_says(operation, changed):
    assert apply_json_patch(TARGET, [operation]) == {**TARGET, **changed}


def test_a_test_that_fails_is_a_conflict_and_nothing_is_changed():
    with pytest.raises(Conflict, match="/name"):
        apply_json_patch(TARGET, [{"op": "remove", "path": "/list"}, {"op": "test", "path": "/name", "value": "Bob"}])
    assert TARGET["list"] == [1, 2]


NOWHERE = ["/nothing", "/name/x", "/list/7", "/list/x", "/list/01", "/list/-1", "/object/a/b/c", "/a~b", "name", None, 7, True, [], {}]
NO_OPERATIONS = [{}, [], None, True, 7, "text", {"op": 7}, {"op": "spam", "path": "/x"}, {"op": "add"}, {"op": "add", "path": "/x"}]


@pytest.mark.parametrize("pointer", NOWHERE)
@pytest.mark.parametrize("op", ["remove", "replace", "test", "copy", "move"])
def test_a_pointer_that_leads_nowhere_is_refused(op, pointer):
    operation = {"op": op, "path": "/x" if op in ("copy", "move") else pointer, "from": pointer, "value": 1}
    with pytest.raises((BadRequest, Conflict)):
        apply_json_patch(TARGET, [operation])


@pytest.mark.parametrize("operation", NO_OPERATIONS)
def test_what_is_no_operation_is_refused(operation):
    with pytest.raises(BadRequest, match="operation 0"):
        apply_json_patch(TARGET, [operation])


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "copy", "from": "", "path": f"/{number}"} for number in range(60)],
        [{"op": "copy", "from": "/text", "path": f"/copy{number}"} for number in range(900)],
        [{"op": "add", "path": "/x", "value": 1}] * (OPERATIONS_MAX + 1),
    ],
)
def test_a_patch_that_grows_without_bound_is_refused(operations):
    with pytest.raises((TooLarge, BadRequest)):
        apply_json_patch({"text": "x" * 4_000}, operations)


@pytest.mark.parametrize("value", [None, True, 7, "text", []])
def test_the_whole_cannot_become_something_else(value):
    with pytest.raises(Refusal):
        apply_json_patch(TARGET, [{"op": "replace", "path": "", "value": value}])
