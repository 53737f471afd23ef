"""The error of a handler for what can never succeed."""


class Unprocessable(Exception):
    """Raised by a handler for a fact that can never succeed as it is. The message is parked with this reason, without retries."""
