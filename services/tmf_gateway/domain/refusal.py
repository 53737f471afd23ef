"""Answers that are not what the client hoped for, each with its status and the body that TM Forum prescribes.

Refusal
├── BadRequest            400  the client must send something else
├── NotFound              404  there is no such resource
├── NotAcceptable         406  the client takes nothing that the gateway sends
├── Conflict              409  the resource's present state forbids it
├── PreconditionFailed    412  the resource is not the one that If-Match names
├── TooLarge              413  the body, or what would be published of it, is too large
├── UnsupportedMedia      415  the body's media type is not read here
├── PageOutOfRange        416  the offset lies beyond the matches
└── Unavailable           503  nobody answered in time; the client may ask again
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import ValidationError


class Refusal(Exception):
    """Carries a message for the client; `headers` accompany the answer."""

    status: ClassVar[int]
    reason: ClassVar[str]

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers or {}


class BadRequest(Refusal):
    """The client must send something else."""

    status = 400
    reason = "Bad request"


class NotFound(Refusal):
    """There is no such resource."""

    status = 404
    reason = "Resource not found"


class Conflict(Refusal):
    """The present state of a resource forbids it."""

    status = 409
    reason = "Conflict"


class NotAcceptable(Refusal):
    """The client takes nothing that the gateway sends."""

    status = 406
    reason = "Not acceptable"


class PreconditionFailed(Refusal):
    """The resource is not the one that If-Match names."""

    status = 412
    reason = "Precondition failed"


class TooLarge(Refusal):
    """The body, or what would be published of it, is too large."""

    status = 413
    reason = "Payload too large"


class UnsupportedMedia(Refusal):
    """The body's media type is not read here."""

    status = 415
    reason = "Unsupported media type"


class PageOutOfRange(Refusal):
    """The offset lies beyond the matches."""

    status = 416
    reason = "Range not satisfiable"


class Unavailable(Refusal):
    """Nobody answered in time."""

    status = 503
    reason = "Service unavailable"


def error_body(status: int, reason: str, message: str) -> dict[str, Any]:
    """TMF's Error: every member is a string, `status` too."""
    return {"code": str(status), "reason": reason, "message": message, "status": str(status), "@type": "Error"}


def faults_in_words_of(error: ValidationError, names: Mapping[str, str]) -> str:
    """Return what is wrong with a fact, each attribute by the name that clients know; `names` has those that differ."""
    faults = ((str(fault["loc"][0]) if fault["loc"] else "body", fault["msg"]) for fault in error.errors(include_url=False))
    return "; ".join(f"{names.get(name, name)}: {message}" for name, message in faults)
