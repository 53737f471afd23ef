"""The URLs that events are sent to, and what may never be called (see libs.callback_addresses).

A subscriber names the URL that we call from inside the operator's network, so an unchecked callback would let anybody
reach what only we can reach (server-side request forgery). Names are judged by every address that they resolve to.
"""

from urllib.parse import urlsplit


class CallbackRefused(Exception):
    """The callback may never be called; the message says why."""


def delivery_url(callback: str, event_type: str, verbatim: bool) -> str:
    """The URL to POST an event to: `<callback>/listener/customerBillCreateEvent`, or the callback as it is.

    Raises CallbackRefused for what is not a plain http or https URL.
    """
    try:
        parts = urlsplit(callback)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise CallbackRefused(f"the callback is not a URL: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise CallbackRefused("the callback is not an http or https URL")
    if "@" in parts.netloc:
        raise CallbackRefused("the callback carries credentials, which would end up in logs: use the signature instead")
    if verbatim:
        return callback
    listener = f"{parts.path.rstrip('/')}/listener/{event_type[:1].lower()}{event_type[1:]}"
    return parts._replace(path=listener, fragment="").geturl()
