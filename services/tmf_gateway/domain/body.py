"""Request bodies: a JSON object that MongoDB can keep, or a refusal that says what is wrong with it."""

from typing import Any

from libs.exact_json import InvalidJson, UnfitValue, check_text, read_json
from services.tmf_gateway.domain.refusal import BadRequest, UnsupportedMedia

BODY_BYTES_MAX = 1024 * 1024
# MongoDB nests at most 100 levels, and ours lie below some of its own.
DEPTH_MAX = 32
JSON = "application/json"
MERGE_PATCH = "application/merge-patch+json"


def check_media_type(content_type: str | None, *accepted: str) -> None:
    """Raises UnsupportedMedia unless the body is of an accepted type, in UTF-8."""
    media_type, _, parameters = (content_type or "").partition(";")
    charset = parameters.lower().replace('"', "").replace(" ", "").partition("charset=")[2].partition(";")[0]
    if media_type.strip().lower() not in accepted or charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia(f"send {' or '.join(accepted)} in UTF-8, not {content_type or 'a body without Content-Type'}")


def parse_object(body: bytes) -> dict[str, Any]:
    """The object in a body. Raises BadRequest."""
    if len(body) > BODY_BYTES_MAX:
        raise BadRequest(f"the body is larger than {BODY_BYTES_MAX} bytes")
    try:
        value = read_json(body.decode())
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None
    except UnfitValue as error:
        raise BadRequest(str(error)) from None
    except InvalidJson as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    _check(value, "", DEPTH_MAX)
    return value


def _check(value: Any, path: str, depth: int) -> None:
    if depth == 0:
        raise BadRequest(f"{path[:200]} is nested deeper than {DEPTH_MAX} levels")
    if isinstance(value, dict):
        for name, member in value.items():
            _check_text(name, f"a name in {path or 'the body'}")
            if not name or name.startswith("$") or "." in name:
                raise BadRequest(f"{name!r} in {path or 'the body'} is not an attribute name")
            _check(member, f"{path}.{name}" if path else name, depth - 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth - 1)
    elif isinstance(value, str):
        _check_text(value, path)


def _check_text(text: str, where: str) -> None:
    try:
        check_text(text)
    except ValueError as error:
        raise BadRequest(f"{where} {error}") from None
