"""The signature of a hub delivery: HMAC-SHA256 over "<unix seconds>.<body>", in a header `t=<unix seconds>,v1=<hex>`.

The time is signed along, so that a recorded delivery cannot be replayed later. Each subscription has a key of its own,
derived from the operator's secret, so that no subscriber can speak as Tarifa to another. notifications' README has the
recipe to verify it.
"""

import hashlib
import hmac

HEADER = "X-Tarifa-Signature"


def subscription_key(secret: str, subscription_id: str) -> str:
    """What a subscriber verifies its deliveries with; it tells nothing about the secret or about other keys."""
    return hmac.new(secret.encode(), f"hub-subscription:{subscription_id}".encode(), hashlib.sha256).hexdigest()


def signature(body: bytes, key: str, unix_seconds: int) -> str:
    """The value of the header."""
    digest = hmac.new(key.encode(), f"{unix_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_seconds},v1={digest}"
