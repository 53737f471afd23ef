"""JSON Patch (RFC 6902): a list of operations on the resource as a client reads it.

The library `jsonpatch` carries out each operation. Here it is checked first, and what copies may add is bounded: without a
bound thirty operations that copy the whole into itself would make it a thousand million times as large.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import jsonpatch
from jsonpointer import JsonPointerException

from libs.exact_json import write_json
from services.tmf_gateway.domain.body import BODY_BYTES_MAX, DEPTH_MAX, check_storable
from services.tmf_gateway.domain.refusal import BadRequest, Conflict, TooLarge

OPERATIONS_MAX = 1_000
_MEMBERS: Mapping[str, tuple[str, ...]] = {
    "add": ("value",),
    "replace": ("value",),
    "test": ("value",),
    "remove": (),
    "copy": ("from",),
    "move": ("from",),
}


def apply_json_patch(target: Mapping[str, Any], operations: Sequence[Any]) -> dict[str, Any]:
    """Return the target after all operations; the target itself stays as it is.
    Raises BadRequest for an operation that cannot be carried out, Conflict for a failed test, TooLarge."""
    if len(operations) > OPERATIONS_MAX:
        raise TooLarge(f"a JSON Patch has at most {OPERATIONS_MAX} operations")
    patched = copy.deepcopy(dict(target))
    copied_bytes = 0
    for index, operation in enumerate(operations):
        _check_operation(index, operation)
        if operation["op"] == "copy":
            copied_bytes += _copied_bytes(index, operation, patched)
            if copied_bytes > BODY_BYTES_MAX:
                raise TooLarge(f"operation {index}: the copies are larger than {BODY_BYTES_MAX} bytes")
        patched = _applied(index, operation, patched)
    if not isinstance(patched, dict):
        raise BadRequest("the JSON Patch leaves no JSON object")
    check_storable(patched)
    return patched


def _check_operation(index: int, operation: Any) -> None:
    if not isinstance(operation, dict):
        raise BadRequest(f"operation {index} of the JSON Patch must be an object")
    kind = operation.get("op")
    if not isinstance(kind, str) or kind not in _MEMBERS:
        raise BadRequest(f"operation {index}: op must be one of {', '.join(_MEMBERS)}")
    for name in ("path", *_MEMBERS[kind]):
        if name not in operation:
            raise BadRequest(f"operation {index} ({kind}) lacks {name}")
    for name in {"path", "from"} & operation.keys():
        pointer = operation[name]
        if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
            raise BadRequest(f"operation {index}: {name} must be a JSON Pointer such as /name")
        if pointer.count("/") > DEPTH_MAX:
            raise BadRequest(f"operation {index}: {name} is nested deeper than {DEPTH_MAX} levels")


def _copied_bytes(index: int, operation: Mapping[str, Any], target: Any) -> int:
    copied = _library(index, operation, lambda: jsonpatch.JsonPointer(operation["from"]).resolve(target))
    check_storable(copied)
    return len(write_json(copied))


def _applied(index: int, operation: dict[str, Any], target: Any) -> Any:
    return _library(index, operation, lambda: jsonpatch.JsonPatch([operation]).apply(target, in_place=True))


def _library(index: int, operation: Mapping[str, Any], work: Any) -> Any:
    where = f"operation {index} ({operation['op']} {operation['path'][:200]})"
    try:
        return work()
    except jsonpatch.JsonPatchTestFailed:
        raise Conflict(f"{where}: the value there is another one") from None
    except (jsonpatch.JsonPatchException, JsonPointerException, TypeError, LookupError, ValueError) as error:
        # The library lets plain errors through where a pointer leads into a number, a text or a list.
        raise BadRequest(f"{where} cannot be carried out: {str(error)[:200]}") from None
