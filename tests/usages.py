"""Usages for tests, from values as a message would have them: a text becomes an instant or a number."""

from typing import Any

import msgspec

from libs.contracts import UsageReceived


def usage_of(**fields: Any) -> UsageReceived:
    """A usage that was checked as a message is. Raises msgspec.ValidationError."""
    return msgspec.convert(fields, UsageReceived)
