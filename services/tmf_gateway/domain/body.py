"""Request bodies: JSON that MongoDB can keep, or a refusal that says what is wrong with it."""

from typing import Any

from libs.exact_json import InvalidJson, UnfitValue, check_text, read_json
from services.tmf_gateway.domain.refusal import BadRequest, TooLarge, UnsupportedMedia

BODY_BYTES_MAX = 1024 * 1024
# MongoDB nests at most 100 levels, and ours lie below some of its own.
DEPTH_MAX = 32
# A value of two characters takes MongoDB up to 15 bytes, and each one is looked at several times.
VALUES_MAX = 100_000
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def check_media_type(content_type: str | None, *accepted: str) -> None:
    """Raises UnsupportedMedia unless the body is of an accepted type, in UTF-8."""
    parameters = (content_type or "").partition(";")[2]
    charset = parameters.lower().replace('"', "").replace(" ", "").partition("charset=")[2].partition(";")[0]
    if media_type(content_type) not in accepted or charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"send {' or '.join(accepted)} in UTF-8, not {content_type or 'a body without Content-Type'}")


def media_type(content_type: str | None) -> str:
    """Return the media type of a Content-Type header, without its parameters."""
    return (content_type or "").partition(";")[0].strip().lower()


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the object in a body. Raises BadRequest or TooLarge."""
    value = _parse(body)
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    check_storable(value)
    return value


def parse_list(body: bytes) -> list[Any]:
    """Return the list in a body, such as a JSON Patch. Raises BadRequest or TooLarge."""
    value = _parse(body)
    if not isinstance(value, list):
        raise BadRequest("the body must be a JSON list")
    check_storable(value)
    return value


def check_storable(value: Any) -> None:
    """Raises BadRequest or TooLarge for a value that MongoDB cannot keep."""
    if _check(value, "", DEPTH_MAX) > VALUES_MAX:
        raise TooLarge(f"the body holds more than {VALUES_MAX} values")


def _parse(body: bytes) -> Any:
    if len(body) > BODY_BYTES_MAX:
        raise TooLarge(f"the body is larger than {BODY_BYTES_MAX} bytes")
    try:
        return read_json(body.decode())
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except UnfitValue as error:
        raise BadRequest(str(error)) from None
    except InvalidJson as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def _check(value: Any, path: str, depth: int) -> int:
    """Return how many values there are, this one included."""
    if depth == 0:
        raise BadRequest(f"{path[:200]} is nested deeper than {DEPTH_MAX} levels")
    count = 1
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name, f"a name in {path or 'the body'}")
            if not name or name.startswith("$") or "." in name:
                raise BadRequest(f"{name!r} in {path or 'the body'} is not an attribute name")
            count += _check(member, f"{path}.{name}" if path else name, depth - 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            count += _check(item, f"{path}[{index}]", depth - 1)
    elif isinstance(value, str):
        _check_text(value, path)
    return count


def _check_text(text: str, where: str) -> None:
    try:
        check_text(text)
    except ValueError as error:
        raise BadRequest(f"{where} {error}") from None
