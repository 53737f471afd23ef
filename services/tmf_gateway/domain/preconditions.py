"""ETag, If-Match and If-None-Match (RFC 9110): a tag stands for a resource as a client read it."""

import hashlib
import re

from services.tmf_gateway.domain.refusal import PreconditionFailed

_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_ANY = "*"


def etag_of(body: bytes) -> str:
    """Return the tag of a whole representation. It is the same whichever `fields` of it are read."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def check_if_match(header: str | None, etag: str) -> None:
    """Raises PreconditionFailed when the client has read another state of the resource. Weak tags match nothing."""
    if header is None or header.strip() == _ANY:
        return
    if etag not in [tag for weak, tag in _TAG.findall(header) if not weak]:
        raise PreconditionFailed(f"the resource has changed: its ETag is {etag}, not {header[:200]}; read it again")


def is_known(header: str | None, etag: str) -> bool:
    """Return whether If-None-Match names what the client would be sent."""
    return header is not None and (header.strip() == _ANY or etag in [tag for _, tag in _TAG.findall(header)])
