"""The Accept header: whether a client takes JSON."""

import re

from services.tmf_gateway.domain.body import JSON
from services.tmf_gateway.domain.refusal import NotAcceptable

_RANGES = (JSON, "application/*", "*/*")
# A quality of zero: the client does not take it.
_REFUSED = re.compile(r"q\s*=\s*0(\.0*)?")


def check_accept(header: str | None) -> None:
    """Raises NotAcceptable for a client that takes no JSON. The most specific range that covers JSON decides."""
    if header is None or not header.strip():
        return
    taken: dict[str, bool] = {}
    for part in header.split(","):
        media_range, *parameters = (piece.strip().lower() for piece in part.split(";"))
        taken[media_range] = taken.get(media_range, False) or not any(map(_REFUSED.fullmatch, parameters))
    if not next((taken[media_range] for media_range in _RANGES if media_range in taken), False):
        raise NotAcceptable(f"answers are {JSON}, and Accept names {header[:200]}")
